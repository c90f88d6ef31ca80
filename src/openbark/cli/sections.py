"""`--help` of commands with many options: under headings, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import click

_REST = "Other"


class SectionedCommand(click.Command):
    """A command whose options are shown under the headings of `sections`, and the rest under Other."""

    sections: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Headings, each with the options below it as they are typed."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them."""
        left = {
            flag: record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
            for flag in parameter.opts[-1:]
        }
        for title, flags in self.sections.items():
            rows = [left.pop(flag) for flag in flags if flag in left]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        if left:
            with formatter.section(_REST):
                formatter.write_dl(list(left.values()))
