"""`python -m tests.adr_index`: write the titles of decisions into docs/adr/README.md.

Subjects are sections of the page, and a decision is where its line is put; one that has no line
yet gets it below "Not sorted yet".
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs/adr"
PAGE = FOLDER / "README.md"
LINE = re.compile(r"^- \[(\d{4})\]\(([^)]+)\): .*$", re.MULTILINE)
NEW = "## Not sorted yet"


def titles() -> dict[str, str]:
    """The title of each decision, by its file's name."""
    found = {}
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        heading = path.read_text("utf-8").partition("\n")[0]
        found[path.name] = re.sub(r"^# \d{4}[.:] ", "", heading)
    return found


def current(page: str) -> str:
    """The page with the titles as they are, without decisions that are gone, and with new ones."""
    known = titles()
    listed = {name for _, name in LINE.findall(page)}

    def line(found: re.Match[str]) -> str:
        return entry(found[2], known[found[2]]) if found[2] in known else ""

    page = LINE.sub(line, page)
    missing = [entry(name, title) for name, title in known.items() if name not in listed]
    if missing and NEW not in page:
        page = f"{page.rstrip()}\n\n{NEW}\n\n"
    return page + "".join(f"{each}\n" for each in missing)


def entry(name: str, title: str) -> str:
    return f"- [{name[:4]}]({name}): {title}"


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text("utf-8")), "utf-8")
