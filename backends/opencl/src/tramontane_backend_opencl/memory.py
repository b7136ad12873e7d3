"""OpenCL devices as they are used: memory, transfers, programs. What drivers raise becomes what the
engine knows: `torch.OutOfMemoryError`, `DeviceLost`."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pyopencl as cl
import torch
from numpy.typing import NDArray
from pyopencl.tools import ImmediateAllocator, MemoryPool
from torch import Tensor
from tramontane.backend import DeviceLost

from .kernel_call import GRAPHICS, PROCESSOR, Argument, Sizes
from .source import source_of, text

FULL = ("MEM_OBJECT_ALLOCATION_FAILURE", "OUT_OF_HOST_MEMORY")
LOST = (
    "DEVICE_NOT_AVAILABLE", "OUT_OF_RESOURCES", "INVALID_COMMAND_QUEUE", "INVALID_CONTEXT",
    "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
)  # fmt: skip
"""Names of errors after which a device's queue is not used again. OUT_OF_RESOURCES is how drivers
report a kernel that faulted."""


@contextmanager
def errors(device: str, nbytes: int = 0) -> Iterator[None]:
    """While entered, a driver's error is raised as the engine knows it."""
    try:
        yield
    except cl.Error as error:
        said = str(error).strip().partition("\n")[0]
        if isinstance(error, cl.MemoryError) or any(name in said for name in FULL):
            asked = f"; {nbytes} bytes were asked for" if nbytes else ""
            raise torch.OutOfMemoryError(f"{device}: out of memory{asked} ({said})") from error
        if any(name in said for name in LOST):
            raise DeviceLost(f"{device} does not answer any more: {said}") from error
        raise RuntimeError(f"{device}: {said}") from error


class OpenclDevice:
    """One device: a context, a queue in order, and memory that is used again. Implements
    `kernel_call.Kernels`. index: of torch's device."""

    def __init__(self, device: cl.Device, index: int) -> None:
        self.name, self.index = f"OpenCL device {device.name.strip()}", index
        self.device = device
        with errors(self.name):
            self.context = cl.Context([device])
            self.queue = cl.CommandQueue(self.context)
            self._pool = MemoryPool(ImmediateAllocator(self.queue))
        self.sizes = sizes_of(device)
        self.largest: int = device.max_mem_alloc_size
        self.launches = 0
        """Kernels that were started."""
        self._made: dict[Any, Any] = {}
        self._lock = threading.RLock()

    @property
    def used(self) -> int:
        """Bytes of tensors that live."""
        return int(self._pool.active_bytes)

    def take(self, nbytes: int) -> Any:
        """Memory of so many bytes, not initialized. Raises torch.OutOfMemoryError."""
        if nbytes > self.largest:
            raise torch.OutOfMemoryError(
                f"{self.name}: out of memory: {nbytes} bytes were asked for at once, and it gives "
                f"{self.largest}"
            )
        with errors(self.name, nbytes), self._lock:
            return self._pool.allocate(max(16, nbytes))

    def release(self) -> None:
        """Give back memory that is kept without being used."""
        with self._lock:
            self._pool.free_held()

    def write(self, memory: Any, offset: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to the device."""
        if data.size:
            with errors(self.name):
                cl.enqueue_copy(self.queue, memory, data, dst_offset=offset, is_blocking=True)

    def read(self, memory: Any, offset: int, nbytes: int) -> NDArray[np.uint8]:
        """Copy bytes from the device, when all that was started is done."""
        data = np.empty(nbytes, np.uint8)
        if nbytes:
            with errors(self.name):
                cl.enqueue_copy(self.queue, data, memory, src_offset=offset, is_blocking=True)
        return data

    def run(
        self, kernel: str, grid: Sequence[int], arguments: Sequence[Argument], **constants: Any
    ) -> None:
        """Implements `Kernels.run`."""
        if 0 in grid:
            return
        key = (kernel, self.sizes, *constants.items())
        with self._lock:
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = self._compile(kernel, arguments, constants)
            given: list[Any] = []
            for value in arguments:
                if isinstance(value, Tensor):
                    given += (value.memory.buffer, value.storage_offset())  # type: ignore[attr-defined]
                else:
                    given.append(value)
            lanes = self.sizes.lanes
            size = (grid[0] * lanes, *grid[1:])
            local = (lanes, *[1] * (len(grid) - 1))
            with errors(self.name):
                made(self.queue, size, local, *given)
            self.launches += 1

    def _compile(self, kernel: str, arguments: Sequence[Argument], constants: Any) -> Any:
        told = {**constants, "LANES": self.sizes.lanes}
        source = source_of(kernel, told, text("prelude_opencl.h"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what compilers say beside errors
            try:
                program = cl.Program(self.context, source).build()
            except cl.RuntimeError as error:
                lines = [line for line in str(error).splitlines() if "error" in line.lower()]
                said = "; ".join(lines[:3]) or str(error)
                raise RuntimeError(f"{self.name} cannot compile {kernel!r}: {said}") from error
        made = getattr(program, kernel)
        types: list[Any] = []
        for value in arguments:
            if isinstance(value, Tensor):
                types += (None, np.int64)
            else:
                types.append(np.float32 if isinstance(value, float) else np.int32)
        made.set_scalar_arg_dtypes(types)
        return made


def sizes_of(device: cl.Device) -> Sizes:
    """What kernels are compiled for."""
    if device.type & cl.device_type.CPU:
        return PROCESSOR
    if device.max_work_group_size < GRAPHICS.lanes:
        return Sizes(lanes=1, each=1, rows=4, run=256)
    return GRAPHICS


@cache
def opened(index: int) -> OpenclDevice:
    """The device of torch's number, made once. Raises DeviceLost where it is gone."""
    found = listed()
    if index >= len(found):
        raise DeviceLost(f"there is no OpenCL device {index} any more; {len(found)} are there")
    made = OpenclDevice(found[index], index)
    in_use.append(made)
    return made


in_use: list[OpenclDevice] = []
"""Those that were opened."""


def listed() -> list[cl.Device]:
    """All devices of all platforms, in the loader's order."""
    return [device for platform in cl.get_platforms() for device in platform.get_devices()]
