"""Leave a part of torch out of its import that a prepared model almost never needs.

`torch._meta_registrations` teaches operations on tensors without numbers in Python, most of which
torch has in C++ too: a fifth of the time that importing torch takes, and 20 MB. Where it was left
out, `complete` imports it; whoever leaves it out calls that and begins again where anything fails
or is other than before. Code that compiles with torch gets it as it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PART = "torch._meta_registrations"
NEED_IT = {"torch._dynamo", "torch._inductor"}
"""Modules that rely on it without importing it."""


class _Absent(ModuleType):
    """Stands for the part; whoever looks into it gets it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for these
            raise AttributeError(name)
        complete()
        return getattr(sys.modules[PART], name)


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in NEED_IT:
            complete()
        return ModuleSpec(name, self) if name == PART and self in sys.meta_path else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


_finder = _Finder()


def leave_out() -> None:
    """Before torch is imported; afterwards without effect."""
    if "torch" not in sys.modules and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def is_left_out() -> bool:
    """Whether something is."""
    return _finder in sys.meta_path


def complete() -> bool:
    """Import what was left out; whether anything was."""
    if _finder not in sys.meta_path:
        return False
    sys.meta_path.remove(_finder)
    if not isinstance(sys.modules.get(PART), _Absent):
        return False  # torch was not imported yet, or another version has no such part
    del sys.modules[PART]
    package, _, name = PART.rpartition(".")
    setattr(sys.modules[package], name, import_module(PART))
    return True
