"""How operations on registers are defined: a numba type for each, and a function that emits LLVM.

    @operation(lambda a, b: FLOATS)
    def add(emit, a, b): return emit.builder.fadd(a, b)

What a caller writes as a constant arrives in both functions as a Python value; everything else as
its numba type in the first and as an LLVM value in the second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from llvmlite import ir

from . import instruction_set as llvm
from .instruction_set import Portable


@dataclass(frozen=True)
class Register:
    """`count` vectors of 16 numbers: floats (f32) or integers (i32)."""

    kind: str
    count: int


class _Types:
    """numba.types, imported when an operation is compiled and not before."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("numba.types"), name)


types = _Types()
FLOATS, INTS = Register("f32", 1), Register("i32", 1)


@dataclass(frozen=True)
class Emit:
    """What an operation is emitted with."""

    builder: Any
    context: Any
    types: tuple[Any, ...]
    """Numba's types of the arguments."""
    isa: Portable

    def integer(self, value: Any) -> Any:
        """A 64-bit LLVM value of a number or of a value."""
        return llvm.LONG(value) if isinstance(value, int) else value

    def at(self, address: Any, offset: int, kind: Any) -> Any:
        """A pointer to `kind` at address + offset bytes."""
        base = self.builder.inttoptr(self.integer(address), llvm.BYTE.as_pointer())
        moved = self.builder.gep(base, [llvm.LONG(offset)], inbounds=True)
        return self.builder.bitcast(moved, kind.as_pointer())

    def load(self, address: Any, offset: int, kind: Any, align: int = 1) -> Any:
        value = self.builder.load(self.at(address, offset, kind))
        value.align = align
        return value

    def store(self, value: Any, address: Any, offset: int, align: int = 1) -> None:
        self.builder.store(value, self.at(address, offset, value.type)).align = align

    def same(self, value: Any) -> Any:
        """A number in all lanes."""
        vector = ir.VectorType(value.type, llvm.LANES)
        empty = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(empty, value, llvm.INT(0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(llvm.INTS, [0] * llvm.LANES))

    def floats(self, value: float) -> Any:
        return ir.Constant(llvm.FLOATS, [value] * llvm.LANES)

    def ints(self, value: int) -> Any:
        return ir.Constant(llvm.INTS, [value] * llvm.LANES)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.isa.fma(self.builder, a, b, c)

    def call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        return llvm.call(self.builder, name, result, arguments)

    def split(self, value: Any, count: int) -> list[Any]:
        """The vectors of a register."""
        if count == 1:
            return [value]
        return [self.builder.extract_value(value, i) for i in range(count)]

    def join(self, values: list[Any]) -> Any:
        """The other way round."""
        if len(values) == 1:
            return values[0]
        whole = ir.Constant(ir.ArrayType(values[0].type, len(values)), ir.Undefined)
        for i, value in enumerate(values):
            whole = self.builder.insert_value(whole, value, i)
        return whole


@dataclass(frozen=True, eq=False)
class Operation:
    """What kernels call for a few instructions. function: emits them. result: types -> type."""

    result: Callable[..., Any]
    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.function.__qualname__} is an operation, for kernels to call")


def operation(result: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an emitting function callable from kernels. result: types -> type."""
    return partial(Operation, result)
