"""The formats, and the table of what was measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import afq, awq, bnb, compressed_tensors, exl3, fp8, gguf, gptq, hqq, modelopt, mxfp4, uqff
from .measure import DEVICES, differences
from .models import FAMILIES
from .record import Format, Variant

FORMATS: dict[str, Format] = {
    "GGUF": gguf.FORMAT, "GPTQ": gptq.FORMAT, "AWQ": awq.FORMAT, "bitsandbytes": bnb.FORMAT,
    "MLX (AFQ)": afq.FORMAT, "HQQ": hqq.FORMAT, "UQFF": uqff.FORMAT, "EXL3": exl3.FORMAT,
    "FP8": fp8.FORMAT, "ModelOpt": modelopt.FORMAT,
    "compressed-tensors": compressed_tensors.FORMAT, "MXFP4": mxfp4.FORMAT,
}  # fmt: skip
HEADER = ["| | checkpoints | " + " | ".join(FAMILIES) + " |",
          "|---|---|" + "---|" * len(FAMILIES)]  # fmt: skip
NO_FILES = "no such files"
Found = dict[str, float]
"""A difference for each device."""


def head(name: str) -> list[str]:
    """The lines above a format's table."""
    form = FORMATS[name]
    return [f"## {name}", "", form.about, "", f"Held against: {form.held}.", "", *HEADER]


def count(form: Format, variants: list[Variant]) -> int:
    """How many checkpoints there are of a row's variants."""
    return sum(form.has(variant, family) for variant in variants for family in FAMILIES)


def cell(form: Format, variants: list[Variant], family: str, found: list[Found]) -> str:
    """The largest numbers of a family; or why there are none."""
    if family in form.lacks:
        return form.lacks[family]
    if not any(form.has(variant, family) for variant in variants):
        return NO_FILES
    return " / ".join(number([each[device] for each in found]) for device in DEVICES)


def number(found: list[float]) -> str:
    """The largest."""
    return f"{max(found, key=_bad):.0e}".replace("e-0", "e-")


def _bad(value: float) -> float:
    """As an order: a comparison with NaN is false: it must not be lost."""
    return value if value == value else float("inf")


def measured(form: Format, variants: list[Variant], family: str) -> list[Found]:
    """Every checkpoint of a cell."""
    found = []
    for variant in variants:
        if form.has(variant, family):
            with tempfile.TemporaryDirectory() as folder:
                found.append(differences(form, variant, family, Path(folder)))
    return found


def rows(name: str) -> Iterator[tuple[str, bool]]:
    """A format's rows, and whether all of each is small enough."""
    form = FORMATS[name]
    for row, variants in form.rows().items():
        cells, good = [], True
        for family in FAMILIES:
            found = measured(form, variants, family)
            cells.append(cell(form, variants, family, found))
            good &= all(value < form.tolerance for each in found for value in each.values())
        yield f"| {row} | {count(form, variants)} | {' | '.join(cells)} |", good


def covering() -> Iterator[tuple[str, Variant, str]]:
    """A format, a way to write it and a family: each row once, or `MANY` of them, and each format
    with every family that it has. Rows and their variants take turns, so that all switches are
    among them."""
    for name, form in FORMATS.items():
        lines = list(form.rows().values())
        if name in MANY:
            lines = lines[:: len(lines) // MANY[name]]
        left = [family for family in FAMILIES if family not in form.lacks]
        for turn, variants in enumerate(lines):
            variant = variants[(turn + len(variants) // 2) % len(variants)]
            allowed = [family for family in FAMILIES if form.has(variant, family)]
            family = next((each for each in left if each in allowed), allowed[turn % len(allowed)])
            left = [each for each in left if each != family]
            yield name, variant, family
        for turn, family in enumerate(left):
            usual = [variant for variant in form.variants if form.has(variant, family)]
            yield name, usual[(7 * turn) % len(usual)], family


MANY = {
    "AWQ": 5, "compressed-tensors": 7, "GGUF": 5, "GPTQ": 7, "HQQ": 6, "MLX (AFQ)": 6, "UQFF": 5,
}  # fmt: skip
"""Formats of many rows, which their plugins' tests hold too: about so many are enough."""


def everything() -> Iterator[tuple[str, Variant, str]]:
    for name, form in FORMATS.items():
        for variant in form.variants:
            for family in FAMILIES:
                if form.has(variant, family):
                    yield name, variant, family
