"""What core knows of distributions that are not installed is what the workspace offers."""

from pathlib import Path

import pytest
from tramontane.testing.catalog import FILE, known_text

ROOT = Path(__file__).parents[1]


def test_the_catalog_is_up_to_date():
    if not (ROOT / FILE).exists():
        pytest.skip(f"{ROOT} is not the workspace: it has no {FILE}")
    assert (ROOT / FILE).read_text("utf-8") == known_text(ROOT), (
        "run: python -m tramontane.testing.catalog ."
    )
