"""Options of quantizing while a model is read, and what they become."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_quantizing(parser: argparse.ArgumentParser, *, loads: bool = True) -> None:
    """After the model's own options. loads: whether the command quantizes while it loads."""
    group = parser.add_argument_group("quantizing")
    if loads:
        group.add_argument(
            "--isq", metavar="KIND",
            help="quantize every matrix while it is read: 2 to 8 bits, or a kind such as q4_k",
        )  # fmt: skip
    group.add_argument(
        "--isq-organization", default="default", choices=["default", "moqe"],
        help="moqe: quantize experts only",
    )  # fmt: skip
    group.add_argument(
        "--topology", type=Path, metavar="FILE", help="YAML with kinds of single layers or weights"
    )
    measured = group.add_mutually_exclusive_group()
    measured.add_argument(
        "--imatrix", type=Path, metavar="FILE",
        help="how much each column of a matrix matters, from `tramontane imatrix` or llama.cpp",
    )  # fmt: skip
    measured.add_argument(
        "--calibration-file", type=Path, metavar="FILE",
        help="a text on which to measure that first, which takes the memory of the whole model",
    )  # fmt: skip


def quantizing(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `LLM`."""
    names = ("isq", "isq_organization", "topology", "imatrix", "calibration_file")
    return {name: getattr(options, name) for name in names}
