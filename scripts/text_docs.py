"""Write the table of reading rules into docs/text.md, or check that it is up to date.

python scripts/text_docs.py            # write
python scripts/text_docs.py --check    # exit 1 when stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "text.md"
BEGIN = "<!-- The table is written by scripts/text_docs.py from the rules. -->\n"
END = "<!-- End of the table. -->\n"


def table() -> str:
    """The rules in their order, each with its examples."""
    sys.path.insert(0, str(ROOT / "src"))
    from openbark.text.normalize.english import READING_RULES

    lines = ["| | rule | written | spoken |", "|---|---|---|---|"]
    for number, rule in enumerate(READING_RULES, start=1):
        for index, (written, spoken) in enumerate(rule.examples):
            head = f"| {number} | {rule.name} " if index == 0 else "| | "
            lines.append(f"{head}| {_cell(written)} | {_cell(spoken)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`"


def render(page: str) -> str:
    """The page with today's table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    page = PAGE.read_text(encoding="utf-8")
    wanted = render(page)
    if parser.parse_args().check:
        if page != wanted:
            print("docs/text.md is stale; run python scripts/text_docs.py")
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
