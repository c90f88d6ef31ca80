"""`python -m openbark`: the command line."""

from __future__ import annotations

from openbark.cli.main import main

if __name__ == "__main__":
    main()
