"""What a client can do with the server: features are functions, each tried by itself.

Imported in the clients' own environments, where there is neither Tramontane nor pytest.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version

CITY = "What is the weather in Lisbon?"
STORY = "Tell me a story"
LONGEST = 160
"""Characters of a reason."""

Feature = Callable[[str], object]


class Features:
    """The features of a client. packages: distributions whose versions the table names."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages
        self._tried: list[tuple[str, Feature]] = []

    def __call__(self, name: str) -> Callable[[Feature], Feature]:
        """A feature of this name. It is given the server's url, and raises if it does not work."""

        def noted(function: Feature) -> Feature:
            self._tried.append((name, function))
            return function

        return noted

    def main(self) -> None:
        """Try each; a line of JSON for each says how it went."""
        url = sys.argv[1]
        versions = ", ".join(f"{name} {version(name)}" for name in self._packages)
        for name, function in self._tried:
            why = ""
            try:
                function(url)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the next is tried
                traceback.print_exc()
                why = reason(error)
            print(json.dumps({"client": versions, "feature": name, "why": why}), flush=True)


def reason(error: BaseException) -> str:
    """An error in one short line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = " ".join(re.sub(r"</?[a-z_]+( [^<>]*)?>", " ", str(error)).split())  # Instructor's XML
    short = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    return f"{type(error).__name__}: {short}".removesuffix(": ")


def expect(found: object, what: str) -> None:
    """Raises AssertionError if it is empty or false."""
    if not found:
        raise AssertionError(f"{what}: {found!r}")
