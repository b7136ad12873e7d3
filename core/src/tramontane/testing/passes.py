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
    model: CausalLM, prompt: Sequence[int], sizes: Sequence[int], device: torch.device = CPU
) -> Tensor:
    """Logits of every token of a prompt, (tokens, vocabulary), computed in pieces of `sizes`."""
    cache, blocks = _cache(model, len(prompt), device)
    out = []
    for start, size in zip(accumulate((0, *sizes)), sizes, strict=False):
        piece = (start, size, len(prompt), blocks, range(size))
        out.append(_forward(model, prompt[start : start + size], [piece], cache))
    return torch.cat(out)


def whole(model: CausalLM, prompt: Sequence[int], device: torch.device = CPU) -> Tensor:
    """Logits of every token of a prompt, computed at once."""
    return in_pieces(model, prompt, [len(prompt)], device)


def together(
    model: CausalLM, prompts: Sequence[Sequence[int]], device: torch.device = CPU
) -> list[Tensor]:
    """Logits of every token of several prompts that share one batch."""
    cache, blocks = _cache(model, sum(len(p) + BLOCK_SIZE for p in prompts), device)
    pieces = []
    for prompt in prompts:
        own = [blocks.pop() for _ in range(-(-len(prompt) // BLOCK_SIZE))]
        pieces.append((0, len(prompt), len(prompt), own, range(len(prompt))))
    tokens = [token for prompt in prompts for token in prompt]
    logits = _forward(model, tokens, pieces, cache)
    return list(torch.split(logits, [len(p) for p in prompts]))


def _cache(model: CausalLM, tokens: int, device: torch.device) -> tuple[KVCache, list[int]]:
    count = -(-tokens // BLOCK_SIZE)
    cache = KVCache(model, count, torch.float32, device)
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
