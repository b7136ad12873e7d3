"""Operations of torch that have OpenCL kernels: element by element, copies, rows by numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .kernel_call import KINDS
from .memory import opened
from .tensor import TORCH_NAME, OpenclTensor, empty, host, put, write_back

aten = torch.ops.aten
RAW = {1: 3, 2: 2, 4: 5, 8: 6}
"""By bytes: the kind of number as which any is copied."""
MOST = 4
"""Dimensions that the kernel of elements knows."""
BINARY = {
    aten.add.Tensor: "A + B", aten.sub.Tensor: "A - B", aten.mul.Tensor: "A * B",
    aten.div.Tensor: "A / B", aten.maximum.default: "fmax(A, B)",
    aten.minimum.default: "fmin(A, B)",
}  # fmt: skip
UNARY = {
    aten.neg.default: "-A", aten.abs.default: "fabs(A)", aten.exp.default: "exp(A)",
    aten.tanh.default: "tanh(A)", aten.sigmoid.default: "1.0f / (1.0f + exp(-A))",
    aten.silu.default: "A / (1.0f + exp(-A))", aten.relu.default: "fmax(A, 0.0f)",
    aten.sqrt.default: "sqrt(A)", aten.rsqrt.default: "1.0f / sqrt(A)",
    aten.reciprocal.default: "1.0f / A", aten.cos.default: "cos(A)", aten.sin.default: "sin(A)",
    aten.square.default: "A * A",
}  # fmt: skip


def elements(
    expression: str, a: Tensor, b: Tensor | float | None, out: OpenclTensor, *, raw: bool = False
) -> bool:
    """out = expression of a and b, all broadcast to out's shape. Whether there is a kernel for such
    shapes."""
    size = tuple(out.size())
    other = b if isinstance(b, Tensor) else a
    same = all(
        tuple(each.size()) == size and each.is_contiguous() for each in (a, other, out)
    )  # fmt: skip
    shapes = [(math.prod(size), 1, 1, 1)] if same else _collapsed(size, a, other, out)
    if shapes is None or out.numel() >= 1 << 31:
        return False
    if out.numel() == 0:
        return True
    kinds = [RAW[each.dtype.itemsize] if raw else KINDS[each.dtype] for each in (a, other, out)]
    device = out.memory.device
    run = device.sizes.run
    dims, *steps = shapes if not same else (shapes[0], (0,) * 4, (0,) * 4, (0,) * 4)
    device.run(
        "elementwise", (-(-out.numel() // run),),
        (a, other, out, out.numel(), *dims[1:], *steps[0], *steps[1], *steps[2],
         0.0 if isinstance(b, Tensor) or b is None else float(b)),
        ELEMENTWISE=1, FLAT=same, RAW=raw, SCALAR=not isinstance(b, Tensor), EACH=run,
        EXPRESSION=f"({expression})", KA=kinds[0], KB=kinds[1], KO=kinds[2],
    )  # fmt: skip
    return True


def _collapsed(size: tuple[int, ...], *tensors: Tensor) -> list[tuple[int, ...]] | None:
    """Up to four sizes, then strides of each tensor; None: there are more."""
    steps = [each.expand(size).stride() for each in tensors]
    dims: list[tuple[int, tuple[int, ...]]] = []
    for axis, n in enumerate(size):
        if n == 1:
            continue
        own = tuple(step[axis] for step in steps)
        if dims and all(last == step * n for last, step in zip(dims[-1][1], own, strict=True)):
            dims[-1] = (dims[-1][0] * n, own)
        else:
            dims.append((n, own))
    if len(dims) > MOST or any(abs(s) >= 1 << 31 for _, own in dims for s in own):
        return None
    dims = [(1, (0,) * len(tensors))] * (MOST - len(dims)) + dims
    columns = list(zip(*(own for _, own in dims), strict=True))
    return [tuple(n for n, _ in dims), *columns]


def _device_of(*values: Any) -> Any:
    return next(each.memory.device for each in values if isinstance(each, OpenclTensor))


def _floats(*values: Any) -> bool:
    tensors = [each for each in values if isinstance(each, Tensor)]
    return all(
        isinstance(each, OpenclTensor) and each.dtype in KINDS and each.is_floating_point()
        for each in tensors
    )


def _binary(expression: str) -> Callable[..., Any]:
    def run(a: Any, b: Any, *, alpha: float = 1) -> Any:
        if isinstance(b, Tensor) and not isinstance(b, OpenclTensor) and b.dim() == 0:
            b = b.item()
        if not isinstance(a, OpenclTensor) or alpha != 1 or isinstance(b, (complex, bool)):
            return NotImplemented
        if not _floats(a, b):
            return NotImplemented
        size, dtype = a.size(), a.dtype
        if isinstance(b, Tensor):
            if b.size() != size:
                size = torch.broadcast_shapes(size, b.size())
            if b.dtype != dtype and b.dim():
                dtype = torch.promote_types(dtype, b.dtype) if a.dim() else b.dtype
        out = empty(_device_of(a), size, dtype)
        return out if elements(expression, a, b, out) else NotImplemented

    return run


def _in_place(expression: str) -> Callable[..., Any]:
    def run(a: Any, b: Any, *, alpha: float = 1) -> Any:
        if isinstance(b, Tensor) and not isinstance(b, OpenclTensor):
            return NotImplemented
        if alpha != 1 or isinstance(b, (complex, bool)) or not _floats(a, b):
            return NotImplemented
        return a if elements(expression, a, b, a) else NotImplemented

    return run


def _unary(expression: str) -> Callable[..., Any]:
    def run(a: Any) -> Any:
        if not _floats(a):
            return NotImplemented
        out = empty(_device_of(a), a.size(), a.dtype)
        return out if elements(expression, a, None, out) else NotImplemented

    return run


def _gelu(a: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        return _unary("0.5f * A * (1.0f + erf(A * 0.70710678118654752f))")(a)
    inner = "0.79788456080286536f * (A + 0.044715f * A * A * A)"
    return _unary(f"A - A / (exp(2.0f * {inner}) + 1.0f)")(a)


def _copied(source: Tensor, out: OpenclTensor) -> bool:
    """Numbers of a tensor of the same device, in out's type."""
    if source.dtype == out.dtype:
        return elements("A", source, None, out, raw=True)
    return _floats(source, out) and elements("A", source, None, out)


def _clone(own: Any, *, memory_format: Any = None) -> Any:
    out = empty(_device_of(own), own.size(), own.dtype)
    return out if _copied(own, out) else put(_device_of(own), host(own))


def _to_copy(
    own: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: Any = None, non_blocking: bool = False, memory_format: Any = None,
) -> Any:  # fmt: skip
    wanted = own.dtype if dtype is None else dtype
    here = isinstance(own, OpenclTensor)
    if device is not None and device.type != TORCH_NAME:
        if not here:
            return NotImplemented
        with torch.inference_mode(False):
            return host(own).to(device=device, dtype=wanted).clone()
    if not here:
        with torch.inference_mode(False):
            return put(opened(device.index or 0), own.to(wanted))
    there = own.memory.device if device is None else opened(device.index or 0)
    if there is not own.memory.device:
        return put(there, host(own).to(wanted))
    out = empty(there, own.size(), wanted)
    return out if _copied(own, out) else put(there, host(own).to(wanted))


def _copy(own: Any, source: Any, non_blocking: bool = False) -> Any:
    if not isinstance(own, OpenclTensor):
        own.copy_(host(source))
        return own
    near = isinstance(source, OpenclTensor) and source.memory.device is own.memory.device
    if near and _copied(source, own):
        return own
    changed = host(own)
    with torch.inference_mode(False):
        changed.copy_(host(source))
    write_back(own, changed)
    return own


def _empty(size: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Any:
    return empty(opened(device.index or 0), size, dtype or torch.get_default_dtype())


def _empty_like(own: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Any:
    if device is not None and device != own.device:
        return NotImplemented
    return empty(_device_of(own), own.size(), dtype or own.dtype)


def _new_empty(own: Any, size: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Any:
    if device is not None and device != own.device:
        return NotImplemented
    return empty(_device_of(own), size, dtype or own.dtype)


def _cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    if not all(isinstance(each, OpenclTensor) for each in tensors):
        return NotImplemented
    if len({each.dtype for each in tensors}) > 1 or len({each.dim() for each in tensors}) > 1:
        return NotImplemented
    size = list(tensors[0].size())
    size[dim] = sum(each.size(dim) for each in tensors)
    out = empty(_device_of(*tensors), size, tensors[0].dtype)
    start = 0
    for each in tensors:
        part = out.narrow(dim, start, each.size(dim))
        if not _copied(each, part):  # type: ignore[arg-type]
            return NotImplemented
        start += each.size(dim)
    return out


def _places(own: Any, indices: Sequence[Any]) -> Any:
    """Of an index of one or two lists of numbers, the first along the first dimension: these, with
    the dimensions that they are of, and the others. None: another one."""
    told = [(axis, each) for axis, each in enumerate(indices) if each is not None]
    lists = [each for _, each in told]
    fine = all(
        isinstance(each, OpenclTensor) and each.dtype == torch.int64 and each.dim() == 1
        for each in lists
    )
    if not fine or not 1 <= len(told) <= 2 or told[0][0] != 0:
        return None
    if len({len(each) for each in lists}) > 1:
        return None
    rest = [axis for axis in range(own.dim()) if axis not in [axis for axis, _ in told]]
    if len(rest) > 3 or own.dtype.itemsize not in RAW:
        return None
    return told, rest


def _indexed(own: Any, found: Any, other: Any, *, put_there: bool) -> None:
    told, rest = found
    (first, one), (second, two) = told[0], told[-1]
    size = [1] * (3 - len(rest)) + [own.size(axis) for axis in rest]
    steps = [0] * (3 - len(rest)) + [own.stride(axis) for axis in rest]
    device, count = own.memory.device, math.prod(size)
    run = device.sizes.run
    both = (other, own) if put_there else (own, other)
    device.run(
        "indexed", (-(-count // run), len(one)),
        (*both, one, two, len(one), own.size(first), own.stride(first), own.size(second),
         own.stride(second), *size, *steps),
        INDEXED=1, BOTH=len(told) == 2, PUT_THERE=put_there, EACH=run,
        KO=RAW[own.dtype.itemsize],
    )  # fmt: skip


def _index(own: Any, indices: Sequence[Any]) -> Any:
    found = _places(own, indices) if isinstance(own, OpenclTensor) else None
    if found is None:
        return NotImplemented
    told, rest = found
    out = empty(own.memory.device, [len(told[0][1]), *(own.size(a) for a in rest)], own.dtype)
    _indexed(own, found, out, put_there=False)
    return out


def _index_select(own: Any, dim: int, index: Any) -> Any:
    return _index(own, [index]) if dim == 0 else NotImplemented


def _index_put(own: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    found = _places(own, indices) if isinstance(own, OpenclTensor) and not accumulate else None
    if found is None or not isinstance(values, OpenclTensor) or values.dtype != own.dtype:
        return NotImplemented
    told, rest = found
    size = [len(told[0][1]), *(own.size(axis) for axis in rest)]
    if list(values.size()) != size:
        return NotImplemented
    _indexed(own, found, values.contiguous(), put_there=True)
    return own


KERNELS: dict[Any, Callable[..., Any]] = {
    **{op: _binary(expression) for op, expression in BINARY.items()},
    **{op: _unary(expression) for op, expression in UNARY.items()},
    aten.add_.Tensor: _in_place("A + B"),
    aten.mul_.Tensor: _in_place("A * B"),
    aten.gelu.default: _gelu,
    aten.clone.default: _clone,
    aten._to_copy.default: _to_copy,
    aten.copy_.default: _copy,
    aten.empty.memory_format: _empty,
    aten.empty_like.default: _empty_like,
    aten.new_empty.default: _new_empty,
    aten.cat.default: _cat,
    aten.index.Tensor: _index,
    aten.index_select.default: _index_select,
    aten.index_put_.default: _index_put,
}
"""By the operation; each returns NotImplemented for arguments that it does not know."""
