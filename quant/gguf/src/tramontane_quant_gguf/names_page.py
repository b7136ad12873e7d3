"""`python -m tramontane_quant_gguf.names_page docs/writing-an-architecture.md`: write the table of
translated tensor names into the page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .names import CONSUMED, DECODER

MARKS = re.compile(r"(<!-- generated from names\.py -->\n).*?(<!-- end of names -->)", re.DOTALL)


def table() -> str:
    """The names of GGUF tensors and the paths that they become, in Markdown."""
    lines = ["| tensor of the file | path that rules see |", "|---|---|"]
    lines += [f"| `{ours}` | `{theirs}` |" for ours, theirs in DECODER.items()]
    lines += [f"| `{name.rpartition('.')[0]}` | none: it is a setting |" for name in CONSUMED]
    return "\n".join(lines).replace("{}", "N") + "\n"


def with_names(page: str) -> str:
    """The page with the table between its marks written again."""
    return MARKS.sub(lambda found: f"{found[1]}{table()}{found[2]}", page)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_names(path.read_text("utf-8")), "utf-8")
