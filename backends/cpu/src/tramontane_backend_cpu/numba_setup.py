"""Kernels as Python functions. Every kernel file takes `native` and `njit` from here.

Nothing is compiled, nor numba imported, before an address is asked for: kernels that no model
needs cost nothing, and those that were compiled before come from `object_cache.py` without numba.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from .machine_code import Code
from .object_cache import keep, kept, key_of

progress = logging.getLogger("tramontane.progress")
_compiled: list[str] = []
_one = threading.RLock()


class Part:
    """A function that kernels call, compiled into them. options: numba's.

    Its attributes have the names that numba looks for where it puts functions in line.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.py_func, self.targetoptions = function, options

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.py_func.__qualname__} is a part of kernels, for them to call")


class Kernel:
    """A function of so many 64-bit integers, to be called by its address or from Python.

    result: whether it returns a 64-bit integer.
    """

    def __init__(self, function: Callable[..., Any], arguments: int, *, result: bool) -> None:
        self.function, self.arguments, self.result = function, arguments, result

    @property
    def address(self) -> int:
        """Where its machine code is; compiles it where it is not kept from before."""
        return self._code.address

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
        return kind(result, *[ctypes.c_int64] * self.arguments)(self.address)

    def assembly(self) -> str:
        """What the processor is told, in its own words; compiles the kernel once more."""
        from .compiling import assembly

        return assembly(self)

    @cached_property
    def _code(self) -> Code:
        with _one:  # several may ask at the same time, and compiling twice takes twice as long
            if "_code" in self.__dict__:
                code: Code = self.__dict__["_code"]
                return code
            key = key_of(self.function)
            found = kept(key)
            if found is None:
                from .compiling import compiled

                _compiled.append(self.function.__qualname__)
                progress.info("compiling kernels for this machine, once (%d)", len(_compiled))
                found = compiled(self)
                keep(key, found)
            return Code(found)


def njit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function a part of kernels; with or without numba's options."""
    return partial(Part, **options) if function is None else Part(function, **options)


def native(arguments: int, *, result: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function of so many 64-bit integers a kernel."""
    return partial(Kernel, arguments=arguments, result=result)


__all__ = ["Kernel", "Part", "native", "njit"]
