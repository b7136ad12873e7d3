"""Tensors of torch on OpenCL devices, "ocl:0" and so on: views are numbers, operations are kernels
where there is one, and otherwise torch's own on the processor, on copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_map

from .memory import OpenclDevice, opened

TORCH_NAME = "ocl"
Operation = Callable[..., Any]
KERNELS: dict[Any, Operation] = {}
"""Operations that have kernels: called as they are; NotImplemented: not for these arguments."""


@dataclass
class Memory:
    """What tensors share. buffer: pyopencl's."""

    device: OpenclDevice
    buffer: Any


class OpenclTensor(torch.Tensor):
    memory: Memory

    @staticmethod
    def __new__(
        cls, memory: Memory, size: Any, stride: Any, offset: int, dtype: torch.dtype
    ) -> OpenclTensor:
        where = torch.device(TORCH_NAME, memory.device.index)
        with torch.inference_mode(False):  # a view of a weight is none of inference
            made: Any = torch.Tensor._make_wrapper_subclass(
                cls, size, strides=stride, storage_offset=offset, dtype=dtype, device=where,
                requires_grad=False,
            )  # fmt: skip
        made.memory = memory
        return made  # type: ignore[no-any-return]

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{host(self)!r}, on {self.device}"

    def tolist(self) -> Any:
        return host(self).tolist()

    def cpu(self, *_: Any) -> torch.Tensor:
        return host(self)

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a tensor of an OpenCL device has no numpy array; .cpu() first")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """One operation of torch."""
    kernel = KERNELS.get(func)
    if kernel is not None:
        out = kernel(*args, **kwargs)
        if out is not NotImplemented:
            return out
    kind = _kind(func)
    if kind == "composed":
        out = func.decompose(*args, **kwargs)
        if out is not NotImplemented:
            return out
    if kind == "view":
        return view(func, args, kwargs)
    return on_host(func, args, kwargs)


_kinds: dict[Any, str] = {}


def _kind(func: Any) -> str:
    if func not in _kinds:
        alias = [each.alias_info for each in func._schema.returns]
        views = bool(alias) and alias[0] is not None and not alias[0].is_write
        has = torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), "CompositeImplicitAutograd"
        )
        _kinds[func] = ("composed" if has else "view") if views else "other"
    return _kinds[func]


def view(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Another shape of the same memory: computed on a tensor without memory."""
    own = args[0]
    end = own.storage_offset() + extent(own)
    plain = torch.empty(end, dtype=own.dtype, device="meta")
    plain = plain.as_strided(own.size(), own.stride(), own.storage_offset())
    out = func(plain, *args[1:], **kwargs)

    def made(each: Any) -> Any:
        return like(own.memory, each) if isinstance(each, torch.Tensor) else each

    return tree_map(made, out)


def like(memory: Memory, shape: torch.Tensor) -> OpenclTensor:
    """A tensor with the geometry of another."""
    return OpenclTensor(
        memory, shape.size(), shape.stride(), int(shape.storage_offset()), shape.dtype
    )


def at(own: Any, size: Any, stride: Any, offset: int) -> OpenclTensor:
    """A view of the memory of a tensor; offset: from its first element."""
    return OpenclTensor(own.memory, size, stride, int(own.storage_offset()) + offset, own.dtype)


def extent(tensor: torch.Tensor) -> int:
    """Elements from the first to behind the last."""
    if tensor.numel() == 0:
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(tensor.size(), tensor.stride(), strict=True))


def empty(device: OpenclDevice, size: Any, dtype: torch.dtype) -> OpenclTensor:
    """Contiguous, not initialized."""
    steps, count = [], 1
    for n in reversed(size):
        steps.append(count)
        count *= max(n, 1)
    memory = Memory(device, device.take(count * dtype.itemsize))
    return OpenclTensor(memory, tuple(size), tuple(reversed(steps)), 0, dtype)


def host(tensor: torch.Tensor) -> torch.Tensor:
    """The same on the processor, with the same strides."""
    if not isinstance(tensor, OpenclTensor):
        return tensor
    width, memory = tensor.dtype.itemsize, tensor.memory
    with torch.inference_mode(False):
        if tensor.numel() == 0:
            return torch.empty(tensor.size(), dtype=tensor.dtype)
        data = memory.device.read(
            memory.buffer, int(tensor.storage_offset()) * width, extent(tensor) * width
        )
        flat = torch.from_numpy(data).view(tensor.dtype)
        return flat.as_strided(tensor.size(), tensor.stride(), 0)


def put(device: OpenclDevice, tensor: torch.Tensor) -> OpenclTensor:
    """A tensor of the processor on a device, contiguous."""
    made = empty(device, tensor.size(), tensor.dtype)
    device.write(made.memory.buffer, 0, _bytes(tensor))
    return made


def write_back(tensor: OpenclTensor, changed: torch.Tensor) -> None:
    """Put what an operation wrote to the copy that `host` made."""
    width = tensor.dtype.itemsize
    flat = changed.as_strided((extent(changed),), (1,))
    start = int(tensor.storage_offset()) * width
    tensor.memory.device.write(tensor.memory.buffer, start, _bytes(flat))


def _bytes(tensor: torch.Tensor) -> Any:
    flat = tensor.detach().contiguous().flatten()
    if flat.dtype == torch.bool:
        return flat.numpy().view(np.uint8)
    return flat.view(torch.uint8).numpy()


def on_host(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """An operation without a kernel: torch's own, on copies."""
    flat, _ = tree_flatten((args, dict(kwargs)))
    tensors = [each for each in flat if isinstance(each, OpenclTensor)]
    wanted = next((each for each in flat if isinstance(each, torch.device)), None)
    if wanted is None:
        wanted = tensors[0].device if tensors else torch.device("cpu")
    copies = {id(each): host(each) for each in tensors}

    def there(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device("cpu")
        return copies[id(value)] if isinstance(value, OpenclTensor) else value

    with torch.inference_mode(False), torch.no_grad():
        out = func(*tree_map(there, args), **tree_map(there, dict(kwargs)))
    if func._schema.is_mutable and func._schema.arguments[0].alias_info is not None:
        written = [
            value
            for value, argument in zip(args, func._schema.arguments, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        for value in written:
            if isinstance(value, OpenclTensor):
                write_back(value, copies[id(value)])
        if func._schema.returns and func._schema.returns[0].alias_info is not None:
            return args[0]
    if wanted.type != TORCH_NAME:
        return out
    device = opened(wanted.index or 0)
    plain = torch.Tensor
    return tree_map(lambda each: put(device, each) if isinstance(each, plain) else each, out)
