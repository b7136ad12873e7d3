"""Colour, where somebody is looking."""

from __future__ import annotations

import os
import sys

CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}


def paint(text: str, look: str) -> str:
    """A text in one of CODES; unchanged without one, without a terminal, or if NO_COLOR is set."""
    if not text or not look or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{CODES[look]}m{text}\033[0m"
