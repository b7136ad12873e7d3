"""Installed plugins: found by name in package metadata, imported only when chosen.

What a registry itself imports is imported when one is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .catalog import known, known_lists
from .installed import canonical, distributions, entries_of

if TYPE_CHECKING:
    from .registry import CORE, EVENTS, FLAGS, KINDS, SPEC_MARK, Registry

__all__ = [
    "CORE",
    "EVENTS",
    "FLAGS",
    "KINDS",
    "SPEC_MARK",
    "Registry",
    "canonical",
    "distributions",
    "entries_of",
    "known",
    "known_lists",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.registry"), name)
