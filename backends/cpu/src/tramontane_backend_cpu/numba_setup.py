"""Declare kernels as Python functions: all kernel modules use `family`, `native` and `njit`.

Nothing is compiled, nor numba imported, before an address is requested: unused kernels cost
nothing, and those that were compiled before are loaded from `object_cache.py` without numba.
Others may already be compiled by the worker processes of `precompile.py`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, partial, wraps
from typing import Any

from .kernel_source import Origin, Part
from .machine_code import Code
from .object_cache import keep, kept, key_of

_missing: ContextVar[list[Kernel] | None] = ContextVar("_missing", default=None)


class Kernel:
    """A compiled function of `arguments` 64-bit integers, called by its address or from Python.

    result: whether it returns a 64-bit integer. origin: None if other processes cannot import it.
    """

    def __init__(self, function: Callable[..., Any], arguments: int, *, result: bool) -> None:
        self.function, self.arguments, self.result = function, arguments, result
        name = function.__qualname__
        self.origin = None if "." in name else Origin(function.__module__, name)
        self._code: Code | None = None
        self._lock = threading.RLock()

    @property
    def address(self) -> int:
        """The address of its machine code; compiles the kernel if it is not cached."""
        missing = _missing.get()
        if missing is None or self.is_ready():
            return self._compiled().address
        missing.append(self)
        return 0

    @cached_property
    def ctypes(self) -> Any:
        """A callable for Python, which releases the GIL during the call."""
        return self._function(ctypes.CFUNCTYPE)

    @cached_property
    def brief(self) -> Any:
        """A callable that holds the GIL, for calls of about a microsecond, so that no other thread
        runs in between."""
        return self._function(ctypes.PYFUNCTYPE)

    def _function(self, kind: Any) -> Any:
        result = ctypes.c_int64 if self.result else None
        prototype = kind(result, *[ctypes.c_int64] * self.arguments)
        return prototype(self._compiled().address)

    @cached_property
    def key(self) -> str | None:
        """Its key in the object cache."""
        return key_of(self.function)

    def is_ready(self) -> bool:
        """Whether it is compiled or cached."""
        with self._lock:
            if self._code is None and (cached := kept(self.key)) is not None:
                self._code = Code(cached)
            return self._code is not None

    def assembly(self) -> str:
        """Its assembly code; compiles the kernel again."""
        from .compiling import assembly

        return assembly(self)

    def _compiled(self) -> Code:
        if self._code is None and not self.is_ready():
            from . import precompile

            # wait without the lock: other threads call `is_ready`
            code = precompile.result(self)
            with self._lock:  # only one thread may compile it
                if not self.is_ready():
                    if code is None:
                        from .compiling import compiled

                        precompile.tell(self)
                        code = compiled(self)
                        keep(self.key, code)
                    self._code = Code(code)
        assert self._code is not None
        return self._code


@contextmanager
def missing() -> Iterator[list[Kernel]]:
    """Collect the kernels whose address is requested inside the block and that are not compiled;
    their address is 0. To find out which kernels will be needed."""
    kernels: list[Kernel] = []
    token = _missing.set(kernels)
    try:
        yield kernels
    finally:
        _missing.reset(token)


def njit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Decorator for a function that kernels call; with or without numba's options."""
    return partial(Part, **options) if function is None else Part(function, **options)


def native(arguments: int, *, result: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorator that makes a function of `arguments` 64-bit integers a kernel."""
    return partial(Kernel, arguments=arguments, result=result)


def family(factory: Callable[..., Kernel]) -> Callable[..., Any]:
    """Decorator for a function that creates kernels: results are cached. Its arguments are plain
    values, or a dataclass of these, because they are sent to worker processes."""

    kernels: dict[tuple[Any, ...], Kernel] = {}

    @wraps(factory)
    def cached(*arguments: Any) -> Kernel:
        with _family_lock:  # equal kernels would be compiled twice
            if arguments not in kernels:
                kernel = kernels[arguments] = factory(*arguments)
                kernel.origin = Origin(factory.__module__, factory.__qualname__, arguments)
            return kernels[arguments]

    return cached


_family_lock = threading.RLock()

__all__ = ["Kernel", "Part", "family", "native", "njit"]
