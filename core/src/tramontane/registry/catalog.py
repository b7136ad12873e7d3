"""What our own distributions offer, installed or not."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, cast


def known(kind: str) -> dict[str, str]:
    """Names that our own distributions offer, installed or not, and which of them does."""
    return cast("dict[str, str]", _catalog().get(kind, {}))


def known_lists(about: str) -> dict[str, list[list[str]]]:
    """What the catalog lists of our quantizers by their names: `told_by`."""
    return cast("dict[str, list[list[str]]]", _catalog().get(about, {}))


@cache
def _catalog() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        files("tramontane.registry").joinpath("catalog.json").read_text("utf-8")
    )
    return found
