"""The page of models has the table of what is tested, and each family a page of its own."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path

import pytest
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .table import rows, totals

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "models"
FOLDERS = sorted(path.parent for path in (ROOT / "arch").glob("*/pyproject.toml"))


def test_the_table_is_up_to_date() -> None:
    page = (PAGES / "README.md").read_text("utf-8")
    expected = [totals(), "", *rows()]
    assert "\n".join(expected) in page, "python -m tests.parity.table prints what it should have"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_page_names_what_its_family_offers_and_refuses(folder: Path) -> None:
    page = (PAGES / f"{folder.name}.md").read_text("utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    names = project["entry-points"]["tramontane.architectures"]
    assert f"`pip install {project['name']}`" in page
    for name in names:
        assert f"`{name}`" in page
        offer = Registry().get(Architecture, name)
        for field, info in load(offer.config).model_fields.items():
            fixed = typing.get_args(info.annotation)
            if typing.get_origin(info.annotation) is typing.Literal and len(fixed) == 1:
                assert f"`{field}`" in page, f"{field} is always {fixed[0]!r}: say why"
    assert f"]({folder.name}.md)" in (PAGES / "README.md").read_text("utf-8")
