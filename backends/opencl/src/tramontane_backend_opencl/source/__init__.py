"""The kernels' source: one body for OpenCL C and the Metal Shading Language, and their preludes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
NEEDS = {"product": ("weights.inc",), "table_rows": ("weights.inc",)}
"""Files that stand before a kernel's own."""


@cache
def text(name: str) -> str:
    """A file of this folder."""
    return (HERE / name).read_text(encoding="utf-8")


def source_of(kernel: str, constants: Mapping[str, object], prelude: str) -> str:
    """All that is compiled for one kernel. constants: become macros. prelude: of the dialect."""
    macros = "".join(f"#define {name} {_word(value)}\n" for name, value in constants.items())
    file = "tensor_ops.inc" if kernel in ("elementwise", "indexed") else f"{kernel}.inc"
    parts = [prelude, text("prelude_both.h"), *map(text, NEEDS.get(kernel, ())), text(file)]
    return macros + "\n".join(parts)


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
