"""Compile a kernel's Python to an object file with numba. Imported only when needed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import ir
from numba.core import compiler, registry
from numba.core.compiler_lock import global_compiler_lock
from numba.core.typing.typeof import typeof_impl

from .kernel_source import Part
from .machine_code import NAME
from .processor import for_numba
from .vector.operation import Operation
from .vector.registers import intrinsic

if TYPE_CHECKING:
    from .kernel_source import KernelSource

OPTIONS = {"nogil": True, "error_model": "numpy"}
"""No fastmath: kernels define the order of sums, the same in all their variants."""
PART_OPTIONS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

if (_features := for_numba()) is not None:  # numba reads it once, when it creates its target
    numba.config.CPU_FEATURES = _features


def compiled(kernel: KernelSource) -> bytes:
    """A kernel's object file, in which its function has the name `machine_code.NAME`."""
    with global_compiler_lock:
        _, _, (code, _) = _library(kernel).serialize_using_object_code()
        return bytes(code)


def assembly(kernel: KernelSource) -> str:
    """A kernel's assembly code."""
    with global_compiler_lock:
        return str(_library(kernel).get_asm_str())


def _library(kernel: KernelSource) -> Any:
    """Numba's library of a kernel and the functions it calls."""
    target = registry.cpu_target
    flags = compiler.Flags()
    target.options.parse_as_flags(flags, {"nopython": True, **OPTIONS})
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    returned = numba.types.int64 if kernel.result else numba.types.void
    done = compiler.compile_extra(
        target.typing_context, target.target_context, kernel.function,
        (numba.types.int64,) * kernel.arguments, returned, flags, {},
    )  # fmt: skip
    done.library.add_ir_module(_entry(target.target_context, done.fndesc))
    done.library.finalize()
    return done.library


def _entry(context: Any, described: Any) -> Any:
    """The entry function. It drops the status that numba's function returns in addition to its
    result: kernels raise no Python exceptions."""
    module = context.create_module("entry")
    integers = [ir.IntType(64)] * len(described.argtypes)
    nothing = described.restype == numba.types.void
    result = ir.VoidType() if nothing else ir.IntType(64)
    inner = context.declare_function(module, described)
    entry = ir.Function(module, ir.FunctionType(result, integers), NAME)
    builder = ir.IRBuilder(entry.append_basic_block())
    _, value = context.call_conv.call_function(
        builder, inner, described.restype, described.argtypes, entry.args
    )
    builder.ret_void() if nothing else builder.ret(value)
    return module


@cache
def _part(part: Part) -> Any:
    return numba.njit(**{**OPTIONS, **PART_OPTIONS, **part.targetoptions})(part.py_func)


@typeof_impl.register(Part)  # type: ignore[untyped-decorator]
def _type_of_part(part: Part, context: Any) -> Any:
    return typeof_impl(_part(part), context)


@cache
def _function_of(operation: Operation) -> Any:
    made, context = intrinsic(operation), registry.cpu_target.typing_context
    context.refresh()  # so that it knows the intrinsic that was just created
    return context.resolve_value_type(made)


@typeof_impl.register(Operation)  # type: ignore[untyped-decorator]
def _type_of_operation(operation: Operation, context: Any) -> Any:
    return _function_of(operation)
