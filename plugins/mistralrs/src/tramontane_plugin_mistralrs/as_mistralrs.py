"""After `import tramontane_plugin_mistralrs.as_mistralrs`, `import mistralrs` finds our module, if
the wheel of that name is not installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).with_name("mistralrs")


class _Last(MetaPathFinder):
    """Asked after all other finders, so that a real module of the name always wins."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "mistralrs":
            return None
        return spec_from_file_location(
            name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )


def install() -> None:
    """Let `import mistralrs` find our module where there is no other."""
    if not any(isinstance(finder, _Last) for finder in sys.meta_path):
        sys.meta_path.append(_Last())


install()
