"""The base of models, and of parts of models, that do not write text step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn


class TaskModel(nn.Module):
    """What an architecture's `model` is for tasks beside text, and for parts of such models: built
    on the meta device as a `CausalLM` is, filled by the same rules, quantized, and prepared by a
    backend, which puts kernels on its blocks (`Linear`, `Embedding`, `EncoderLayer`,
    `TextAttention`, `PackedAttention`, `Patches`), called with rows (rows, hidden). It has no
    `Batch` and no cache of the engine's: its methods are called from the worker thread of its
    queue, one at a time.
    """

    ties: Mapping[str, str] = {}
    """Places that share another's weight: {"decoder.weight": "embeddings.word_embeddings.weight"};
    set it in the constructor where the configuration decides."""
    torch_threads: ClassVar[int | None] = 1
    """Threads of torch's while it runs. One: little is left to torch, whose threads would wait for
    the backend's. None: as many as the backend has, for models whose convolutions torch does."""

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.cfg = cfg

    @property
    def working_bytes(self) -> int:
        """What it takes beside its weights while it works, about, for the memory plan."""
        return 256 << 20


def device_of(module: nn.Module) -> torch.device:
    """Where a module's own numbers are, such as those of norms."""
    return next((each.device for each in module.parameters()), torch.device("cpu"))
