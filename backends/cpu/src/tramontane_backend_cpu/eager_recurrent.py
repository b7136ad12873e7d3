"""Eager fallback: the recorded step's recurrences for single blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tramontane.blocks import DeltaRule, ShortConv
from tramontane.engine.batch import Batch

from .step import interpreter
from .step.graph import TOKENS, Node, Ref, Value
from .step.inputs import Inputs
from .step.lower import table
from .step.lower_recurrent import LOWERINGS
from .step.memory import Buffers
from .step.pool import Pool


def convolve(module: ShortConv, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.short_conv`, with the weights of this module."""

    def short_conv(
        x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, batch: Batch
    ) -> Tensor:
        return _run(pool, "short_conv", [x], tuple(x.shape), batch, {"module": module})

    return short_conv


def correct(module: DeltaRule, pool: Pool) -> Callable[..., Tensor]:
    """A drop-in for `recurrence.delta_rule`, with the states of this module."""

    def delta_rule(
        q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor | None, state: Tensor,
        batch: Batch, *, tiled: bool = False,
    ) -> Tensor:  # fmt: skip
        (key_heads, d_key), (heads, d_value) = k.shape[1:], v.shape[1:]
        about = {"module": module, "heads": heads, "d_value": d_value, "key_heads": key_heads,
                 "d_key": d_key, "keyed": decay.dim() == 3}  # fmt: skip
        given = [q, k, v, decay] if beta is None else [q, k, v, decay, beta]
        return _run(pool, "delta_rule", given, tuple(v.shape), batch, about)

    return delta_rule


def _run(
    pool: Pool, name: str, given: Sequence[Tensor], shape: tuple[int, ...], batch: Batch,
    about: dict[str, Any],
) -> Tensor:  # fmt: skip
    """One recurrence of the recorded step; the result has this shape, float32."""
    tokens = shape[0]
    values = [Value(TOKENS, each[0].numel()) for each in given]
    result = Value(TOKENS, int(np.prod(shape[1:])))
    places = {value: place for place, value in enumerate([*values, result])}
    buffers = Buffers(places, tokens, 0)
    held = sum(len(span.blocks) for span in batch.spans)
    inputs = Inputs(batch.cache, tokens, len(batch.wanted), pool.threads, held)
    inputs.write(batch.numbers.positions, batch)
    for value, each in zip(values, given, strict=True):
        buffers.floats(value)[:] = each.detach().float().flatten(1).numpy()
    node = Node(name, tuple(Ref(value, 0, value.width) for value in values), result, about)
    operation = LOWERINGS[name](node, buffers, inputs)
    phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
    pool.run(pool.step(phases, table([operation]), inputs.counts))
    return torch.from_numpy(buffers.floats(result).copy()).view(shape)
