"""Models in every quantized format are what their decoded weights make them, on both devices.

Rows of docs/models/formats.md, and each format with every family; `./dev test --full`
takes every checkpoint of the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .measure import differences
from .models import FAMILIES
from .record import Variant
from .table import FORMATS, MANY, covering, everything

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CASES = list(everything() if FULL else covering())


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only get in each other's way over matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("name", "variant", "family"), CASES,
    ids=[f"{name}: {variant.row}, {variant.name}: {family}" for name, variant, family in CASES],
)  # fmt: skip
def test_logits(name: str, variant: Variant, family: str, tmp_path: Path) -> None:
    found = differences(FORMATS[name], variant, family, tmp_path)
    wrong = {key: value for key, value in found.items() if not value < FORMATS[name].tolerance}
    assert not wrong


def test_every_family_of_every_format_is_covered_and_every_row_of_most() -> None:
    chosen = list(covering())
    for name, form in FORMATS.items():
        own = [(variant, family) for each, variant, family in chosen if each == name]
        assert {family for _, family in own} == FAMILIES.keys() - form.lacks.keys()
        if name not in MANY:
            assert {variant.row for variant, _ in own} == form.rows().keys()


def test_names_tell_checkpoints_apart() -> None:
    for form in FORMATS.values():
        named = [(variant.row, variant.name) for variant in form.variants]
        assert len(set(named)) == len(named)
