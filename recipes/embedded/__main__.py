"""`python -m recipes.embedded`: what `openbark train embedded` does, with the same options."""

from __future__ import annotations

import sys

from openbark.cli.main import cli

if __name__ == "__main__":
    cli(["train", "embedded", *sys.argv[1:]], prog_name="openbark")
