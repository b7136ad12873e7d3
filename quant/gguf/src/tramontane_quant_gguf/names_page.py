"""`python -m tramontane_quant_gguf.names_page docs/writing-an-architecture.md`: write the tables of
translated tensor names and metadata keys into the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .config import ABSENT, PRESENT, WORDS
from .names import CONSUMED, DECODER

MARKS = re.compile(r"(<!-- generated from (\w+)\.py -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def names() -> Iterator[tuple[str, str]]:
    """The names of tensors, and the paths that they become."""
    yield from ((f"`{ours}`", f"`{theirs}`") for ours, theirs in DECODER.items())
    for name in CONSUMED:
        yield f"`{name.rpartition('.')[0]}`", "none: it is a setting"


def keys() -> Iterator[tuple[str, str]]:
    """The keys of metadata, and the fields that they become."""
    yield from ((f"`{key}`", f"`{field}`") for key, field in WORDS.items())
    for field, tensor in PRESENT.items():
        stem = tensor.replace("{}", "")
        yield f"none: whether a layer has `{stem}`", f"`{field}`"
    for field, (there, missing) in ABSENT.items():
        yield f"none: whether a layer has `{there}` without `{missing}`", f"`{field}`"


def table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    text = "".join(f"| {left} | {right} |\n" for left, right in lines)
    return text.replace("{}", "N")


def with_names(page: str) -> str:
    """The page with the tables between their marks written again."""
    tables = {
        "names": table(("tensor of the file", "path that rules see"), names()),
        "config": table(("key below the architecture's name", "field"), keys()),
    }
    return MARKS.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[3]}", page)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_names(path.read_text("utf-8")), "utf-8")
