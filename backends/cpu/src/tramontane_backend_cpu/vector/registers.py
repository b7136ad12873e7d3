"""Registers and operations as numba knows them. Imported when something is compiled."""

from __future__ import annotations

import inspect
import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.extending import intrinsic as numba_intrinsic
from numba.core.extending import lower_builtin, register_model
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from . import instruction_set as llvm
from .operation import FLOATS, Emit, Operation, Register
from .target import SET


class RegisterType(types.Type):  # type: ignore[misc]
    """A `Register` among numba's types."""

    def __init__(self, register: Register) -> None:
        super().__init__(name=f"{register.kind}x{llvm.LANES}x{register.count}")
        self.kind, self.count = register.kind, register.count


@register_model(RegisterType)
class _RegisterModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, register: RegisterType) -> None:
        one = llvm.FLOATS if register.kind == "f32" else llvm.INTS
        kind = one if register.count == 1 else ir.ArrayType(one, register.count)
        super().__init__(manager, register, kind)


def intrinsic(operation: Operation) -> Any:
    """An operation as numba calls it from kernels."""

    def typing(typing_context: Any, *arguments: Any) -> Any:
        accepted = tuple(_accepted(argument) for argument in arguments)
        told = [getattr(argument, "literal_value", argument) for argument in accepted]

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            known = [
                getattr(kind, "literal_value", value)
                for kind, value in zip(accepted, values, strict=True)
            ]
            done = operation.function(Emit(builder, context, accepted, SET), *known)
            return context.get_dummy_value() if done is None else done

        result = operation.result(*told) or types.void
        if isinstance(result, Register):
            result = RegisterType(result)
        return result(*accepted), generate

    parameters = list(inspect.signature(operation.function).parameters.values())
    first = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    typing.__signature__ = inspect.Signature([first, *plain[1:]])  # type: ignore[attr-defined]
    typing.__name__ = operation.function.__name__
    typing.__doc__ = operation.function.__doc__
    return numba_intrinsic(prefer_literal=True)(typing)


def _accepted(argument: Any) -> Any:
    """What an argument is converted to: constants stay, integers are addresses."""
    if isinstance(argument, RegisterType) or hasattr(argument, "literal_value"):
        return argument
    if isinstance(argument, types.Integer):
        return types.int64
    return types.float32 if isinstance(argument, types.Float) else argument


def _arithmetic(function: Any, name: str) -> None:
    """Let numba write `+` and its like between registers of 16 floats."""
    floats = RegisterType(FLOATS)

    class Typed(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, keywords: Any) -> Any:
            same = len(arguments) == 2 and all(kind is floats for kind in arguments)
            return signature(floats, *arguments) if same else None

    def lower(context: Any, builder: Any, signed: Any, values: Any) -> Any:
        return getattr(builder, name)(*values)

    infer_global(function)(Typed)
    lower_builtin(function, floats, floats)(lower)


for _function, _name in [(operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
                         (operator.truediv, "fdiv")]:  # fmt: skip
    _arithmetic(_function, _name)
