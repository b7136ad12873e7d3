"""Forward passes over whole prompts, cut up in the ways that an engine cuts them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache

CPU = torch.device("cpu")


def in_pieces(
    model: CausalLM,
    prompt: Sequence[int],
    sizes: Sequence[int],
    device: torch.device = CPU,
    kv_dtype: torch.dtype = torch.float32,
    *,
    stepped: bool = False,
) -> Tensor:
    """Logits of every token of a prompt, (tokens, vocabulary), computed in pieces of `sizes`.

    stepped: by the model's `step`, as the engine has them, in place of its `forward`.
    """
    cache, blocks = _cache(model, len(prompt), device, kv_dtype)
    out = []
    for start, size in zip(accumulate((0, *sizes)), sizes, strict=False):
        piece = (start, size, len(prompt), blocks, range(size))
        tokens = prompt[start : start + size]
        if stepped:
            rows = model.step(tokens, Batch.of([piece], cache))
            out.append(torch.from_numpy(rows.copy()))  # the next step may write over them
        else:
            out.append(_forward(model, tokens, [piece], cache))
    return torch.cat(out)


def whole(
    model: CausalLM,
    prompt: Sequence[int],
    device: torch.device = CPU,
    kv_dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Logits of every token of a prompt, computed at once."""
    return in_pieces(model, prompt, [len(prompt)], device, kv_dtype)


def together(
    model: CausalLM,
    prompts: Sequence[Sequence[int]],
    device: torch.device = CPU,
    kv_dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """Logits of every token of several prompts that share one batch."""
    cache, blocks = _cache(model, sum(len(p) + BLOCK_SIZE for p in prompts), device, kv_dtype)
    pieces = []
    for prompt in prompts:
        own = [blocks.pop() for _ in range(-(-len(prompt) // BLOCK_SIZE))]
        pieces.append((0, len(prompt), len(prompt), own, range(len(prompt))))
    tokens = [token for prompt in prompts for token in prompt]
    logits = _forward(model, tokens, pieces, cache)
    return list(torch.split(logits, [len(p) for p in prompts]))


def _cache(
    model: CausalLM, tokens: int, device: torch.device, kv_dtype: torch.dtype
) -> tuple[KVCache, list[int]]:
    count = -(-tokens // BLOCK_SIZE)
    cache = KVCache(model, count, kv_dtype, device)
    # a sequence's blocks lie anywhere: here in falling order
    return cache, sorted(cache.take(count), reverse=True)


def _forward(
    model: CausalLM,
    tokens: Sequence[int],
    pieces: Sequence[tuple[int, int, int, Sequence[int], Sequence[int]]],
    cache: KVCache,
) -> Tensor:
    with torch.inference_mode():
        ids = torch.tensor(list(tokens), dtype=torch.int64, device=cache.device)
        out: Tensor = model(ids, Batch.of(pieces, cache))
    return out
