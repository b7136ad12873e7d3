"""Quantizing matrices while they are read: some rows at a time, by several threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from threading import Lock

import torch
from torch import Tensor

from tramontane import memory
from tramontane.checkpoint.load_options import QuantizedReport
from tramontane.checkpoint.weight_map import Slot
from tramontane.layouts import Layout, below, nbytes
from tramontane.system.cores import allowed_cores

from .choices import Choices
from .kinds import Kind
from .make_layer import make_layout

PART = 1 << 18
"""Weights that a thread quantizes at once, where the kind allows parts."""
TEMPORARY = 8
"""What an encoder takes while it works, in multiples of the weights in float32."""


MOST_THREADS = 16
"""More would wait for memory, and each takes some."""


@dataclass(frozen=True)
class Matrix:
    """One matrix's quantization. importance: mean squares of what each column is multiplied with,
    (columns), or (count, columns) for matrices below each other; None: not known."""

    kind: Kind
    importance: Tensor | None = None


class Quantizing:
    """What becomes of a model's matrices. Threads may call it."""

    def __init__(
        self, asked: str, choices: Choices, importance: Mapping[str, Tensor], threads: int | None
    ) -> None:
        self.asked, self.choices = asked, choices
        self.threads = threads or min(allowed_cores(), MOST_THREADS)
        self._matrices = {
            path: Matrix(kind, importance.get(path.removesuffix(".weight")))
            for path, kind in choices.kinds.items()
        }
        self._pool = ThreadPoolExecutor(
            self.threads, "tramontane-quantize", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._whole = Lock()  # a matrix that cannot be parted is alone in memory
        self._bytes = 0

    def __contains__(self, path: str) -> bool:
        return path in self._matrices

    def make(self, path: str, parts: Sequence[Layout]) -> Layout:
        """parts: matrices below each other, of any layouts -> one layout.

        Raises ValueError for what cannot be quantized.
        """
        matrix = self._matrices[path]
        several = len(parts) > 1
        made = [
            self._one(matrix, part, _of_part(matrix.importance, index, len(parts)))
            if several
            else self._experts(matrix, part)
            for index, part in enumerate(parts)
        ]
        layout = below(made) if several else made[0]
        self._bytes += nbytes(layout)
        memory.give_back()  # temporary tensors below `large_blocks_apart`
        return layout

    def _experts(self, matrix: Matrix, layout: Layout) -> Layout:
        """One matrix, or several below each other with importances of their own."""
        given = matrix.importance
        if given is None or given.ndim == 1 or len(given) == 1:
            return self._one(matrix, layout, None if given is None else given.flatten())
        if layout.shape[0] % len(given):
            raise ValueError(f"importances of {len(given)} matrices for {layout.shape[0]} rows")
        rows = layout.shape[0] // len(given)
        return below(
            [
                self._one(matrix, layout.rows(slice(i * rows, (i + 1) * rows)), each)
                for i, each in enumerate(given)
            ]
        )

    def _one(self, matrix: Matrix, layout: Layout, importance: Tensor | None) -> Layout:
        rows, columns = layout.shape
        kind, block = matrix.kind, matrix.kind.offer.row_block
        if importance is not None and len(importance) != columns:
            raise ValueError(f"importances of {len(importance)} columns for {columns}")

        def part(start: int, end: int) -> Layout:
            weight = layout.rows(slice(start, end)).decode(torch.float32)
            if not weight.isfinite().all():
                raise ValueError("some of its weights are infinite or not numbers")
            return make_layout(kind, weight, importance)

        step = max(PART // columns // block, 1) * block if block else rows
        starts = range(0, rows, step)
        if len(starts) > 1:
            futures = [self._pool.submit(part, at, min(at + step, rows)) for at in starts]
            return below([future.result() for future in futures])
        if rows * columns <= PART:
            return self._pool.submit(part, 0, rows).result()
        with self._whole:
            return part(0, rows)

    def overhead(self, wanted: Mapping[str, Slot]) -> int:
        """Bytes that are taken while matrices are made, beside these."""
        largest = 0
        for path, matrix in self._matrices.items():
            if not matrix.kind.offer.row_block:
                largest = max(largest, prod(wanted[path].shape))
        return (self.threads * PART + largest) * 4 * TEMPORARY

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def report(self) -> QuantizedReport:
        """What was chosen and made."""
        return report_of(self.asked, self.choices, self._bytes)


def report_of(asked: str, choices: Choices, size: int) -> QuantizedReport:
    """size: bytes of all that was quantized."""
    return QuantizedReport(
        asked=asked,
        kinds=dict(Counter(kind.name for kind in choices.kinds.values())),
        promoted={path: kind.name for path, kind in choices.promoted.items()},
        instead={path: kind.name for path, kind in choices.instead.items()},
        left=dict(choices.left),
        bytes=size,
    )


def _of_part(importance: Tensor | None, index: int, count: int) -> Tensor | None:
    if importance is None or importance.ndim == 1:
        return importance
    if len(importance) not in (1, count):
        raise ValueError(f"importances of {len(importance)} matrices for {count}")
    return importance[min(index, len(importance) - 1)]
