"""A sandbox for the code and the commands of models.

`Sandbox` runs commands, `PythonSession` code that keeps its state; `Limits` are their bounds.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing itself takes longer to import than all that runs inside
if TYPE_CHECKING:
    from .errors import NoSandbox
    from .limits import Limits
    from .python_session import PythonSession
    from .sandbox import Sandbox

__all__ = ["Limits", "NoSandbox", "PythonSession", "Sandbox"]

_MODULES = {
    "Limits": "limits", "NoSandbox": "errors", "PythonSession": "python_session",
    "Sandbox": "sandbox",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Modules are imported as they are needed: a sandbox's own interpreter needs none of these."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
