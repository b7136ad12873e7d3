"""Recordings as CUDA graphs, made in a thread of the background. Not run on a card yet."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import torch
from torch import Tensor
from tramontane.backend import BACKGROUND

from .graphs import Recording


class CudaGraphs:
    """Implements `graphs.Record`. All recordings share one pool of memory: only one plays at a
    time, and its result is read before the next one plays."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], Tensor]) -> Recording:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            stream = torch.cuda.Stream()
            # thread_local: steps go on in the engine's thread meanwhile
            with torch.cuda.graph(
                graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
            ):
                result = run()
        return Recording(result, graph.replay)


def in_background(work: Callable[[], None]) -> None:
    """Do it in a thread of its own."""
    Thread(target=work, name=BACKGROUND, daemon=True).start()
