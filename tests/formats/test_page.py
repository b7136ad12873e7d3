"""The page of formats has every format, row, family and reason; its numbers are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import isq
from .measure import DEVICES
from .models import FAMILIES
from .table import FORMATS, HEADER, cell, count, head

PAGE = Path(__file__).parents[2] / "docs" / "models" / "formats.md"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_its_rows(name: str) -> None:
    form, text = FORMATS[name], PAGE.read_text("utf-8")
    start = "\n".join(head(name))
    assert start in text, f"./dev formats {name} prints what the page should have"
    table = text.split(start)[1].split("\n\n")[0].strip().splitlines()
    assert len(table) == len(form.rows())
    for line, (row, variants) in zip(table, form.rows().items(), strict=True):
        found, checkpoints, *cells = [part.strip() for part in line.split("|")[1:-1]]
        assert (found, int(checkpoints)) == (row, count(form, variants))
        for said, family in zip(cells, FAMILIES, strict=True):
            if not any(form.has(variant, family) for variant in variants):
                assert said == cell(form, variants, family, [])
                continue
            numbers = [float(each) for each in said.split(" / ")]
            assert len(numbers) == len(DEVICES)
            assert max(numbers) < form.tolerance


def test_what_is_quantized_while_loading_has_its_rows() -> None:
    start = "\n".join([isq.TITLE, "", isq.ABOUT, "", *isq.HEADER])
    text = PAGE.read_text("utf-8")
    assert start in text, "./dev formats isq prints what the page should have"
    lines = text.split(start)[1].strip().splitlines()
    cells = [[part.strip() for part in line.split("|")[1:-1]] for line in lines]
    expected = {name: ", ".join(own) for name, own in isq.kinds().items()}
    assert {name: own for name, own, *_ in cells} == expected
    assert max(float(number) for _, _, *numbers in cells for number in numbers) < isq.TOLERANCE


def test_the_page_counts_what_it_has() -> None:
    whole = sum(count(form, [*form.variants]) for form in FORMATS.values())
    text = PAGE.read_text("utf-8")
    assert f"{len(FORMATS)} formats, {whole} checkpoints, {2 * whole} comparisons" in text
    assert text.count("\n".join(HEADER)) == len(FORMATS)
