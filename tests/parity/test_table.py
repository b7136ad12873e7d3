"""The page of models has the table of what is tested, and each family a page of its own."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path

import pytest
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .__main__ import HEADER
from .dialects import OTHERS
from .families import FAMILIES
from .families.odd import SETS
from .paths import COLUMNS, DEVICES, PACKED, PLAIN, TOLERANCE
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


def test_the_measured_table_has_every_family_and_kind_of_file() -> None:
    """Its numbers are measured by hand, with `./dev parity`; its rows and columns must be there."""
    lines = (PAGES / "parity.md").read_text("utf-8").splitlines()
    first = lines.index(HEADER[0])
    assert lines[first + 1] == HEADER[1]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[first + 2 :] if line
    ]
    rows = [row for row in cells if row]
    assert [row[0] for row in rows] == list(FAMILIES)
    for name, count, *measured in rows:
        has = dict(zip(COLUMNS, (cell != "-" for cell in measured), strict=True))
        written = FAMILIES[name].gguf is not None
        assert has == {
            "safetensors": True, ".bin": True, "other names": name in OTHERS,
            "GGUF, plain": written, "GGUF, packed": written,
        }  # fmt: skip
        numbers = [float(part) for cell in measured if cell != "-" for part in cell.split(" / ")]
        assert len(numbers) == len(DEVICES) * sum(has.values())
        assert max(numbers) < TOLERANCE
        folders = len(FAMILIES[name].variants) + len(SETS) + 2 * (1 + has["other names"])
        files = len(PLAIN) + 1 + len(PACKED) if written else 0
        assert int(count) == len(DEVICES) * (folders + files)
