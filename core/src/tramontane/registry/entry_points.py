"""Load one entry point with stevedore. Imported only when a plugin is."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import ModuleType

from stevedore import DriverManager


class _Driver(DriverManager):  # type: ignore[misc]
    # stevedore's own scan is cached on disk, goes stale after an install and forgets `ep.dist`
    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point
        super().__init__(entry_point.group, entry_point.name)

    def list_entry_points(self) -> list[EntryPoint]:
        return [self._entry_point]


def load_driver(entry_point: EntryPoint) -> ModuleType:
    """The module that an entry point names. Whatever its import raises comes through."""
    module: ModuleType = _Driver(entry_point).driver
    return module
