"""Run a loaded model on token ids, in any chunks, without the engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from tramontane.checkpoint.load import Loaded
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache


@torch.inference_mode()
def logits(
    loaded: Loaded,
    sequences: Sequence[Sequence[int]],
    *,
    chunk: int | None = None,
    prompts: Sequence[int] | None = None,
    kept: torch.dtype | None = None,
) -> list[Tensor]:
    """Logits of every token of every sequence, (length, vocabulary), all sequences in one batch.

    chunk: tokens of each sequence per step; None: all at once. prompts: how many tokens of each
    are prompt, the rest following one by one; None: all. kept: what keys and values are kept in;
    None: what the model computes in.
    """
    model = loaded.model
    blocks = [-(-len(sequence) // BLOCK_SIZE) for sequence in sequences]
    device = torch.device(loaded.device.torch_device)
    cache = KVCache(model, sum(blocks), kept or loaded.dtype, device, state_slots=len(blocks))
    # blocks in a scattered order: a page table that is ignored must show
    held = [cache.take(count)[::-1] for count in reversed(blocks)][::-1]
    lengths = [len(sequence) for sequence in sequences]
    whole = list(prompts or lengths)
    done = [0] * len(sequences)
    rows: list[list[Tensor]] = [[] for _ in sequences]
    while any(d < n for d, n in zip(done, lengths, strict=True)):
        tokens: list[int] = []
        pieces = []
        counts = []
        slots = []
        for index, sequence in enumerate(sequences):
            left = whole[index] - done[index]
            if left > 0:
                count = left if chunk is None else min(chunk, left)
            else:
                count = min(1, lengths[index] - done[index])
            counts.append(count)
            if count:
                first = done[index]
                tokens.extend(sequence[first : first + count])
                pieces.append((first, count, whole[index], held[index], range(count)))
                slots.append(index)
        out = model(torch.tensor(tokens), Batch.of(pieces, cache, slots))
        start = 0
        for index, count in enumerate(counts):
            rows[index].append(out[start : start + count])
            start += count
            done[index] += count
    return [torch.cat(parts) for parts in rows]


@torch.inference_mode()
def greedy(loaded: Loaded, prompt: Sequence[int], count: int) -> list[int]:
    """The likeliest continuation, ids, one token after the other."""
    length = len(prompt) + count
    device = torch.device(loaded.device.torch_device)
    blocks = -(-length // BLOCK_SIZE)
    cache = KVCache(loaded.model, blocks, loaded.dtype, device)
    held = cache.take(blocks)
    tokens, done = list(prompt), 0
    while len(tokens) < length:
        new = tokens[done:]
        piece = (done, len(new), len(prompt), held, [len(new) - 1])
        out = loaded.model(torch.tensor(new), Batch.of([piece], cache))
        done = len(tokens)
        tokens.append(int(out[-1].argmax()))
    return tokens[len(prompt) :]
