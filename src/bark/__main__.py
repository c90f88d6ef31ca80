"""`python -m bark`."""

from __future__ import annotations

from openbark.compat.suno.command_line import cli

if __name__ == "__main__":
    cli()
