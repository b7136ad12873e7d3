"""How fast the CPU backend's kernels go through each layout, beside the simplest one of 4 bits.

    python benchmarks/layouts.py [NAME ...] [--threads 1] [--rounds 15] [--tokens 1] [--layers 3]

The matrices are those of a model of 1B parameters, random. Layouts take turns with the first one,
so that whatever else the machine does slows both alike; with one thread, its own CPU time counts.
Prints for each: bits per weight, ms, GB/s of weights, and how it compares to the first, by byte of
weights (tokens per second and byte) and by weight: the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tramontane.layouts import PLANES, Affine, Codebook, Layout, Permuted, RowGroups
from tramontane_backend_cpu.packing import Interleaved, pack
from tramontane_backend_cpu.row_groups import Grouped, grouped
from tramontane_backend_cpu.step import interpreter
from tramontane_backend_cpu.step.graph import TOKENS, Ref, Value
from tramontane_backend_cpu.step.lower import table
from tramontane_backend_cpu.step.memory import Buffers, Rooms, address, aligned
from tramontane_backend_cpu.step.pool import Pool, shared_pool
from tramontane_backend_cpu.step.products import affine_operation, conversion, grouped_operation

HIDDEN, WIDE, KV = 2048, 8192, 512
READS = (
    (HIDDEN, (HIDDEN, KV, KV)), (HIDDEN, (HIDDEN,)), (HIDDEN, (WIDE, WIDE)), (WIDE, (HIDDEN,)),
)  # fmt: skip
"""Inputs of a layer, and the rows of the matrices that read each."""
NORMAL = [
    -1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0,
    0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0,
]  # fmt: skip
"""Equally likely numbers of a normal distribution."""
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]
E2M3 = [(m / 8 if e == 0 else (1 + m / 8) * 2.0 ** (e - 1)) for e in range(4) for m in range(8)]
E4M3 = torch.float8_e4m3fn
Make = Callable[[int, int], Layout]


def codes(bits: int, rows: int, columns: int) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.randint(0, 256, (rows, columns * width // 8), dtype=torch.uint8)
        for width in PLANES[bits]
    )


def affine(bits: int, group: int, **more: Any) -> Make:
    """More: tensors' makers by name, of (rows, groups)."""

    def make(rows: int, columns: int) -> Affine:
        each = group or columns
        made = {k: v(rows, columns // each) if callable(v) else v for k, v in more.items()}
        scale = made.pop("scale", None)
        if scale is None:
            scale = halves(rows, columns // each)
        return Affine(bits, each, codes(bits, rows, columns), scale, **made)

    return make


def codebook(bits: int, group: int, numbers: list[float], **more: Any) -> Make:
    def make(rows: int, columns: int) -> Codebook:
        each = group or columns
        made = {k: v(rows, columns // each) if callable(v) else v for k, v in more.items()}
        scale = made.pop("scale", None)
        if scale is None:
            scale = halves(rows, columns // each)
        planes = codes(bits, rows, columns)
        if bits == 8:  # without NaN
            planes = (planes[0] & 0xF7,)
        return Codebook(bits, each, planes, torch.tensor(numbers), scale, **made)

    return make


def permuted(make: Make) -> Make:
    orders: dict[int, torch.Tensor] = {}

    def moved(rows: int, columns: int) -> Permuted:
        order = orders.setdefault(columns, torch.randperm(columns).int()[None])
        inner = make(rows, columns)
        assert isinstance(inner, Affine | Codebook)
        return Permuted(inner, order)

    return moved


def row_groups(bits: int, size: int) -> Make:
    def make(rows: int, columns: int) -> RowGroups:
        groups = rows // size
        group_of = torch.arange(rows, dtype=torch.int32) % groups
        numbers = halves(groups, columns), halves(groups, columns)
        return RowGroups(bits, codes(bits, rows, columns), *numbers, group_of)

    return make


def halves(rows: int, groups: int) -> torch.Tensor:
    return torch.rand(rows, groups).half()


def floats(rows: int, groups: int) -> torch.Tensor:
    return torch.rand(rows, groups)


def row_floats(rows: int, groups: int) -> torch.Tensor:
    return torch.rand(rows, 1)


def float8s(rows: int, groups: int) -> torch.Tensor:
    return torch.rand(rows, groups).to(E4M3)


def powers(rows: int, groups: int) -> torch.Tensor:
    return torch.randint(120, 128, (rows, groups)).to(torch.uint8).view(torch.float8_e8m0fnu)


def nibbles(rows: int, groups: int) -> torch.Tensor:
    return torch.randint(0, 16, (rows, groups), dtype=torch.uint8)


F8 = torch.arange(256, dtype=torch.uint8).view(E4M3).float().tolist()
ZEROS = affine(4, 128, zero=nibbles)
MAKES: dict[str, Make] = {
    "affine4 g32 zero": affine(4, 32, zero=8),
    "affine4 g128 zero": affine(4, 128, zero=8),
    "affine4 g128 u8 zeros": ZEROS,
    "affine4 g128 u8 zeros, permuted": permuted(ZEROS),
    "affine4 g128 zero, permuted": permuted(affine(4, 128, zero=8)),
    "affine4 g64 f16 zeros": affine(4, 64, zero=halves),
    "affine4 g64 minimum": affine(4, 64, minimum=halves),
    "affine4, groups of 64 rows": row_groups(4, 64),
    "affine3 g128 u8 zeros": affine(3, 128, zero=nibbles),
    "affine2 g64 f16 zeros": affine(2, 64, zero=halves),
    "codebook4 g64 floats": codebook(4, 64, NORMAL, scale=floats),
    "codebook4 g32 bytes, e8m0": codebook(4, 32, E2M1, scale=powers),
    "codebook4 g16 bytes, e4m3, f32": codebook(
        4, 16, E2M1, scale=float8s, super_scale=row_floats
    ),
    "codebook3 g32 bytes": codebook(3, 32, [-43, -25, -8, 8, 25, 43, 0, 0]),
    "codebook5 g32 bytes": codebook(5, 32, list(range(-48, 48, 3))),
    "codebook6 g32 bytes, e8m0": codebook(6, 32, E2M3 + [-n for n in E2M3], scale=powers),
    "affine8 g32 zero": affine(8, 32, zero=128),
    "affine8 row, zero": affine(8, 0, zero=128, scale=row_floats),
    "e4m3 row": codebook(8, 0, F8, scale=row_floats),
    "e4m3 g128": codebook(8, 128, F8, scale=floats),
}  # fmt: skip


@dataclass
class Bound:
    """A layout's step. size: bytes of weights."""

    step: Any
    size: int
    weights: int
    kept: tuple[Any, ...]


def _packed(weight: Layout, pool: Pool) -> Interleaved | Grouped:
    if isinstance(weight, RowGroups):
        return grouped(weight, pool)
    assert isinstance(weight, Affine | Codebook | Permuted)
    return Interleaved(pack(weight, pool), weight.kind)


def bound(make: Make, layers: int, tokens: int, pool: Pool) -> Bound:
    """All layers' products as one step."""
    counts = np.zeros(8, np.int64)
    counts[0], counts[interpreter.AT_A_TIME] = tokens, 1
    room, operations, phases = Rooms(pool.threads), [], []
    kept: list[Any] = [counts, room, operations]
    size = weights = 0
    for _ in range(layers):
        for columns, heights in READS:
            x = torch.randn(tokens, columns).numpy()
            made = [_packed(make(rows, columns), pool) for rows in heights]
            kept += [x, made]
            plain, shared = False, {"count": address(counts), "bias": 0, "add": 0}
            if isinstance(made[0], Interleaved):
                first = made[0].packed
                plain = first.packing.plain_only
                value = Value(TOKENS, columns, "plain" if plain else "int8")
                buffers = Buffers({value: 0}, tokens, 0)
                at, _ = buffers.place(Ref(value, 0, columns))
                phases.append((interpreter.ROWS, len(operations), 1, TOKENS))
                operations.append(
                    conversion(
                        first.order, plain, count=address(counts), units=first.units,
                        columns=columns, x=address(x), stride=4 * columns, out=at,
                    )
                )  # fmt: skip
                kept.append(buffers)
            else:
                at = address(x)
            phases.append((interpreter.JOBS, len(operations), len(made), 0))
            for each in made:
                rows = each.shape[0]
                out = aligned(tokens * rows, np.float32)
                kept.append(out)
                told = {**shared, "out": address(out), "stride": 4 * rows, "input": at}
                if isinstance(each, Interleaved):
                    operations.append(affine_operation(each, plain, told, room.room))
                else:
                    operations.append(grouped_operation(each, 4 * columns, False, told, room.room))
                size += sum(tensor.nbytes for tensor in each.tensors().values())
                weights += rows * columns
    step = pool.step(np.array(phases, np.int64), table(operations), counts)
    return Bound(step, size, weights, tuple(kept))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of layouts' names")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--layers", type=int, default=3)
    options = parser.parse_args()
    first, pool = next(iter(MAKES)), shared_pool(options.threads)
    chosen = [
        name for name in MAKES
        if name == first or not options.names or any(part in name for part in options.names)
    ]  # fmt: skip
    bounds = {name: bound(MAKES[name], options.layers, options.tokens, pool) for name in chosen}
    clock = time.thread_time if options.threads == 1 else time.perf_counter

    beside = bound(MAKES[first], options.layers, options.tokens, pool)

    def timed(one: Bound) -> float:
        started = clock()
        pool.run(one.step)
        return clock() - started

    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    for turn in range(options.rounds + 1):
        for name in chosen:
            pair = timed(beside), timed(bounds[name])
            if turn:
                pairs[name].append(pair)
    # what is run every other time finds more in the caches, which is no merit of its layout
    usual = statistics.median(a / b for a, b in pairs[first])
    print(f"{'layout':36} {'bits':>5} {'ms':>8} {'GB/s':>6} {'per byte':>9} {'per weight':>10}")
    for name, each in bounds.items():
        ratio = statistics.median(a / b for a, b in pairs[name]) / usual
        median = statistics.median(b for _, b in pairs[name])
        print(
            f"{name:36} {8 * each.size / each.weights:5.2f} {1e3 * median:8.2f} "
            f"{each.size / median / 1e9:6.1f} {ratio * each.size / bounds[first].size:9.2f} "
            f"{ratio:10.2f}"
        )


if __name__ == "__main__":
    main()
