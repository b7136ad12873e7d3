"""A stand-in for CUDA graphs on the CPU: a step as the list of what it started, on fixed memory.

What a graph could not record is refused as there: numbers that are read back, and results whose
size depends on numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tramontane_backend_cuda.fixed_batch import NotRecordable
from tramontane_backend_cuda.graphs import Recording
from tramontane_backend_cuda.launch import watched

READS_BACK = {"_local_scalar_dense", "nonzero", "bincount", "_unique2", "unique_dim", "item"}


class Recorder(TorchDispatchMode):
    """Collects operations with the very tensors that they were called with."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Callable[[], None]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in READS_BACK:
            raise NotRecordable(f"{name} waits for the device")
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = {_memory(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        outputs = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        fresh = [_memory(each) not in given for each in outputs]

        def again() -> None:
            made = [each for each in tree_leaves(func(*args, **kwargs)) if isinstance(each, Tensor)]
            for old, new, own in zip(outputs, made, fresh, strict=True):
                if own:
                    old.copy_(new)

        if (func._schema.is_mutable or any(fresh)) and "empty" not in name:
            self.started.append(again)
        return result


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def record(run: Callable[[], Tensor]) -> Recording:
    """Implements `graphs.Record`."""
    recorder = Recorder()

    def outside(start: Callable[[], None]) -> None:
        recorder.started.append(start)

    with recorder, watched(outside):
        result = run()
    steps = list(recorder.started)

    def play() -> None:
        for step in steps:
            step()

    return Recording(result, play)


def at_once(work: Callable[[], None]) -> None:
    """A background that is not one."""
    work()
