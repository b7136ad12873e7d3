"""Kernels as Python functions. Every kernel file takes `family`, `native` and `njit` from here.

Nothing is compiled, nor numba imported, before an address is asked for: kernels that no model
needs cost nothing, and those that were compiled before come from `object_cache.py` without numba.
Others may be on their way already, from the processes of `compile_ahead.py`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from importlib import import_module
from typing import Any

from .machine_code import Code
from .object_cache import keep, kept, key_of

_missing: ContextVar[list[Kernel] | None] = ContextVar("_missing", default=None)


class Part:
    """A function that kernels call, compiled into them. options: numba's.

    Its attributes have the names that numba looks for where it puts functions in line.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.py_func, self.targetoptions = function, options

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.py_func.__qualname__} is a part of kernels, for them to call")


@dataclass(frozen=True)
class Origin:
    """Where another process finds a kernel: a name in a module, called with arguments if it is a
    family's."""

    module: str
    name: str
    arguments: tuple[Any, ...] | None = None

    def kernel(self) -> Kernel:
        found = getattr(import_module(self.module), self.name)
        made: Kernel = found if self.arguments is None else found(*self.arguments)
        return made


class Kernel:
    """A function of so many 64-bit integers, to be called by its address or from Python.

    result: whether it returns a 64-bit integer. origin: None for one that only its maker knows.
    """

    def __init__(self, function: Callable[..., Any], arguments: int, *, result: bool) -> None:
        self.function, self.arguments, self.result = function, arguments, result
        name = function.__qualname__
        self.origin = None if "." in name else Origin(function.__module__, name)
        self._code: Code | None = None
        self._one = threading.RLock()

    @property
    def address(self) -> int:
        """Where its machine code is; compiles it where it is not kept from before."""
        missing = _missing.get()
        if missing is None or self.is_ready():
            return self._compiled().address
        missing.append(self)
        return 0

    @cached_property
    def ctypes(self) -> Any:
        """The same for Python, which lets go of its lock meanwhile."""
        return self._function(ctypes.CFUNCTYPE)

    @cached_property
    def brief(self) -> Any:
        """The same with the lock kept, for what takes a microsecond: no other thread comes
        between."""
        return self._function(ctypes.PYFUNCTYPE)

    def _function(self, kind: Any) -> Any:
        result = ctypes.c_int64 if self.result else None
        made = kind(result, *[ctypes.c_int64] * self.arguments)
        return made(self._compiled().address)

    @cached_property
    def key(self) -> str | None:
        """What it is called among those that are kept."""
        return key_of(self.function)

    def is_ready(self) -> bool:
        """Whether nothing is left to be compiled."""
        with self._one:
            if self._code is None and (found := kept(self.key)) is not None:
                self._code = Code(found)
            return self._code is not None

    def assembly(self) -> str:
        """What the processor is told, in its own words; compiles the kernel once more."""
        from .compiling import assembly

        return assembly(self)

    def _compiled(self) -> Code:
        if self._code is None and not self.is_ready():
            from . import compile_ahead

            # waited for without the lock: others want to know whether it is ready
            found = compile_ahead.result(self)
            with self._one:  # several may ask, and compiling twice takes twice as long
                if not self.is_ready():
                    if found is None:
                        from .compiling import compiled

                        compile_ahead.tell(self)
                        found = compiled(self)
                        keep(self.key, found)
                    self._code = Code(found)
        assert self._code is not None
        return self._code


@contextmanager
def missing() -> Iterator[list[Kernel]]:
    """Lists the kernels whose address is asked for within and that are not compiled yet: it is 0.
    For who wants to know them before they are needed."""
    found: list[Kernel] = []
    token = _missing.set(found)
    try:
        yield found
    finally:
        _missing.reset(token)


def njit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function a part of kernels; with or without numba's options."""
    return partial(Part, **options) if function is None else Part(function, **options)


def native(arguments: int, *, result: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function of so many 64-bit integers a kernel."""
    return partial(Kernel, arguments=arguments, result=result)


def family(factory: Callable[..., Kernel]) -> Callable[..., Any]:
    """Let a function that makes kernels make each once. Its arguments are plain, or a dataclass of
    what is plain: they are told to other processes."""

    known: dict[tuple[Any, ...], Kernel] = {}

    @wraps(factory)
    def made(*arguments: Any) -> Kernel:
        with _making:  # two of the same would be compiled twice
            if arguments not in known:
                kernel = known[arguments] = factory(*arguments)
                kernel.origin = Origin(factory.__module__, factory.__qualname__, arguments)
            return known[arguments]

    return made


_making = threading.RLock()

__all__ = ["Kernel", "Part", "family", "native", "njit"]
