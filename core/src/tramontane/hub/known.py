"""Well-known names of models, `qwen3:0.6b`, and what each is on the hub."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from importlib.resources import files

FORM = re.compile(r"[a-z0-9.-]+:[a-z0-9.-]+")


@cache
def known_models() -> dict[str, str]:
    """org/name, or org/name:FILE, by the names."""
    text = files("tramontane.hub").joinpath("known.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def hub_id(name: str) -> str | None:
    """What a well-known name is on the hub; None: it is not known."""
    return known_models().get(name.lower())


def nearest_known(name: str) -> str:
    """For an error about a name of that form: what may be meant; else empty."""
    if not FORM.fullmatch(name.lower()):
        return ""
    close = difflib.get_close_matches(name.lower(), known_models(), 1)
    return f"; did you mean {close[0]}?" if close else ""
