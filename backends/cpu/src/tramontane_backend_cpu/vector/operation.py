"""How operations on registers are defined: a numba type for each, and a function that emits LLVM.

    @operation(lambda a, b: FLOATS)
    def add(emit, a, b): return emit.builder.fadd(a, b)

What a caller writes as a constant arrives in both functions as a Python value; everything else as
its numba type in the first and as an LLVM value in the second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.extending import register_model

from tramontane_backend_cpu.numba_setup import intrinsic

from . import instruction_set as llvm
from .chosen import SET
from .instruction_set import Portable


class Register(types.Type):  # type: ignore[misc]
    """`count` vectors of 16 numbers: floats (f32) or integers (i32)."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__(name=f"Register({kind}x{llvm.LANES}, {count})")
        self.kind, self.count = kind, count


@register_model(Register)
class _RegisterModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, register: Register) -> None:
        one = llvm.FLOATS if register.kind == "f32" else llvm.INTS
        kind = one if register.count == 1 else ir.ArrayType(one, register.count)
        super().__init__(manager, register, kind)


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


def operation(result: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an emitting function callable from kernels. result: types -> type."""

    def define(emit: Callable[..., Any]) -> Any:
        def typing(typing_context: Any, *arguments: Any) -> Any:
            accepted = tuple(_accepted(argument) for argument in arguments)
            told = [getattr(argument, "literal_value", argument) for argument in accepted]

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                known = [
                    getattr(kind, "literal_value", value)
                    for kind, value in zip(accepted, values, strict=True)
                ]
                done = emit(Emit(builder, context, accepted, SET), *known)
                return context.get_dummy_value() if done is None else done

            return (result(*told) or types.void)(*accepted), generate

        parameters = list(inspect.signature(emit).parameters.values())
        first = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
        typing.__signature__ = inspect.Signature([first, *plain[1:]])  # type: ignore[attr-defined]
        typing.__name__ = emit.__name__
        typing.__doc__ = emit.__doc__
        return intrinsic(prefer_literal=True)(typing)

    return define


def _accepted(argument: Any) -> Any:
    """What an argument is converted to: constants stay, integers are addresses."""
    if isinstance(argument, Register) or hasattr(argument, "literal_value"):
        return argument
    if isinstance(argument, types.Integer):
        return types.int64
    return types.float32 if isinstance(argument, types.Float) else argument
