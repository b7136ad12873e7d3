"""What attention alone costs by what keys and values are kept in: one thread, no model.

    python benchmarks/attention.py [--depth 8192] [--heads 32] [--kv-heads 8] [--d-head 64]
        [--queries 1] [--rounds 15]

Prints a line for each kind: processor time per layer, medians of rounds in which kinds take turns,
and how many times faster than half precision that is. As many layers as a processor's cache cannot
hold are read in turn, as in a step of a model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from tramontane.checkpoint.load import KV_DTYPES, KV_TYPES
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache, bytes_per_token
from tramontane_backend_cpu.step import interpreter
from tramontane_backend_cpu.step.graph import TOKENS, Node, Ref, Value
from tramontane_backend_cpu.step.inputs import Inputs
from tramontane_backend_cpu.step.lower import lower, table
from tramontane_backend_cpu.step.memory import Buffers
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.vector.target import SET

MOST = 256 << 20
"""Bytes of half precision that all layers together take at least."""


class Caches(nn.Module):
    """What a cache looks for in a model."""

    def __init__(self, layers: int, kv_heads: int, d_head: int) -> None:
        super().__init__()
        for index in range(layers):
            layer = nn.Module()
            layer.index, layer.kv_heads, layer.d_head = index, kv_heads, d_head  # type: ignore[assignment]
            self.add_module(str(index), layer)


def runner(model: Caches, dtype: torch.dtype, options: argparse.Namespace) -> Callable[[], float]:
    """A function that runs attention of all layers, and returns the processor time of it."""
    torch.manual_seed(1)
    blocks = -(-options.depth // BLOCK_SIZE)
    cache = KVCache(model, blocks, dtype, torch.device("cpu"))
    held = cache.take(blocks)
    whole = Batch.of([(0, options.depth, options.depth, held, [])], cache)
    for layer in cache.layers.values():
        shape = (2, options.depth, options.kv_heads, options.d_head)
        layer.store(whole.slots, *torch.randn(shape))
    first = options.depth - options.queries
    batch = Batch.of([(first, options.queries, options.depth, held, [0])], cache)
    width = options.heads * options.d_head
    q, mixed = Value(TOKENS, width), Value(TOKENS, width)
    buffers = Buffers({q: 0, mixed: 1}, options.queries, 0)
    inputs = Inputs(cache, options.queries, 1, 1, blocks)
    operations = [
        lower(
            Node(name, (Ref(q, 0, width),), mixed, {"layer": index, "scale": options.d_head**-0.5}),
            buffers,
            inputs,
        )
        for index in range(len(cache.layers))
        for name in ("attention", "merge_splits")
    ]
    inputs.write(batch.numbers.positions, batch)
    buffers.floats(q)[:] = torch.randn(options.queries, width).numpy()
    told = table(operations)
    phases = np.array([(interpreter.JOBS, i, 1, 0) for i in range(len(operations))], np.int64)
    pool = shared_pool(1)
    step = pool.step(phases, told, inputs.counts)

    def run() -> float:
        started = time.process_time()
        pool.run(step)
        return (time.process_time() - started) / len(cache.layers)

    run.held = operations, buffers, inputs  # type: ignore[attr-defined]  # what addresses point into
    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, number in (("depth", 8192), ("heads", 32), ("kv-heads", 8), ("d-head", 64),
                         ("queries", 1), ("rounds", 15)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    one = Caches(1, options.kv_heads, options.d_head)
    layers = -(-MOST // (bytes_per_token(one, torch.float16) * options.depth))
    model = Caches(layers if options.queries == 1 else 1, options.kv_heads, options.d_head)
    kinds = [name for name in KV_TYPES if name != "f32"]
    runs = {name: runner(model, KV_DTYPES[KV_TYPES[name]], options) for name in kinds}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for index in range(options.rounds + 1):
        for name in kinds:
            taken = runs[name]()
            if index:  # the first touches memory
                times[name].append(taken)
    base = statistics.median(times["f16"])
    print(f"{SET.name}, {options.depth} tokens, {options.queries} queries")
    for name in kinds:
        middle, least = statistics.median(times[name]) * 1e3, min(times[name]) * 1e3
        each = bytes_per_token(one, KV_DTYPES[KV_TYPES[name]])
        print(
            f"{name:<6} {each:>6} bytes a token  {middle:8.3f} ms, least {least:.3f}  "
            f"{base * 1e3 / middle:.2f}x"
        )


if __name__ == "__main__":
    main()
