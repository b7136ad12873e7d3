"""What a compiler needs to know of a kernel: its Python function, and where it was defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol


class Part:
    """A function that kernels call, compiled into them. options: numba's.

    Its attributes have the names that numba expects when it inlines functions.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.py_func, self.targetoptions = function, options

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.py_func.__qualname__} is a part of kernels, for them to call")


@dataclass(frozen=True)
class Origin:
    """The import path of a kernel for worker processes: a name in a module, and the arguments if it
    is created by a family."""

    module: str
    name: str
    arguments: tuple[Any, ...] | None = None

    def kernel(self) -> Any:
        """The `numba_setup.Kernel` itself; its module is imported."""
        attribute = getattr(import_module(self.module), self.name)
        return attribute if self.arguments is None else attribute(*self.arguments)


class KernelSource(Protocol):
    """A kernel before it is compiled; see `numba_setup.Kernel`."""

    @property
    def function(self) -> Callable[..., Any]: ...

    @property
    def arguments(self) -> int: ...

    @property
    def result(self) -> bool: ...

    @property
    def origin(self) -> Origin | None: ...

    @property
    def key(self) -> str | None: ...

    def is_ready(self) -> bool: ...
