"""Which kernels are faster for a matrix, and from how many vectors on: measured, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tramontane.layouts import Dense

from tramontane_backend_cpu.kernels.blas import PANEL
from tramontane_backend_cpu.standing import prepared_native
from tramontane_backend_cpu.step import interpreter
from tramontane_backend_cpu.step.lower import table
from tramontane_backend_cpu.step.memory import address
from tramontane_backend_cpu.step.pool import Pool
from tramontane_backend_cpu.step.products import dense_operation

from .library import Library
from .order import cuts_of, equal_from
from .panels import panels
from .products import direct_product, followed_product
from .table import Choice

COUNTS = (1, 4, 16, 64, 256)
"""Of vectors: one sequence, some, and prompts."""
NUMBERS = 8 << 20
"""Of a matrix that are measured at most: some of its rows stand for all."""
SLOWER, GAIN = 1.02, 0.95
"""A product may take so many times what the CPU backend's takes, for any number of vectors; and the
library so many times, for the largest."""
ROUNDS, SECONDS = 5, 0.2
"""Rounds at least, and more while they take no longer than this: short times need more of them."""
NEVER = 1 << 30


def measured(library: Library, weight: Dense, form: str, pool: Pool, *, prompts: bool) -> Choice:
    """How a matrix of this shape is multiplied. prompts: whether the library's bits may differ from
    those of few vectors. What gains is measured twice: on a busy machine once may be luck."""
    choice = _once(library, weight, form, pool, prompts=prompts)
    if not choice.library_from:
        return choice
    again = _once(library, weight, form, pool, prompts=prompts)
    if not again.library_from:
        return again
    return replace(again, library_from=max(choice.library_from, again.library_from))


def _once(library: Library, weight: Dense, form: str, pool: Pool, *, prompts: bool) -> Choice:
    if prompts:
        return _direct(library, weight, form, pool)
    if form != "f32":
        return Choice(0, "the processor multiplies bfloat16 itself, in another order of sums")
    return _followed(library, weight, pool)


def _followed(library: Library, weight: Dense, pool: Pool) -> Choice:
    rows, columns = weight.shape
    cuts = cuts_of(library, columns)
    if cuts is None:
        return Choice(0, "the library's order of sums is not known")
    checked = panels(weight.data[: min(rows, PANEL + rows % PANEL)])
    least = equal_from(library, checked, cuts)
    if least == 0:
        return Choice(0, "the library's bits depend on the number of vectors", tuple(cuts))
    some = _some(weight)
    matrix = panels(some.data)
    few = followed_product(library, matrix, cuts, NEVER, pool.threads).native
    many = followed_product(library, matrix, cuts, least, pool.threads).native
    times: dict[str, dict[int, float]] = {"cpu": {}, "few": {}, "library": {}}
    for count in COUNTS:
        x = torch.randn(count, columns)
        acts = {"cpu": _dense(some, x, pool), "few": prepared_native(few, matrix, x, pool)}
        if count >= least:
            acts["library"] = prepared_native(many, matrix, x, pool)
        for name, seconds in _best(acts).items():
            times[name][count] = seconds
    later = [c for c, t in times["library"].items() if t <= times["few"][c]]
    start = min((c for c in later if all(d in later for d in COUNTS if d >= c)), default=0)
    said = _said(times)
    if not start:
        return Choice(0, "the library is not faster", tuple(cuts), said)
    chosen = {c: times["library" if c >= start else "few"][c] for c in COUNTS}
    return _judged(chosen, times["cpu"], start, tuple(cuts), said)


def _direct(library: Library, weight: Dense, form: str, pool: Pool) -> Choice:
    if not library.address(form):
        return Choice(0, f"the library has no product of {form}")
    some, dtype = _some(weight), torch.bfloat16 if form == "bf16" else torch.float32
    native = direct_product(library, some, form, 1, pool.threads).native
    times: dict[str, dict[int, float]] = {"cpu": {}, "library": {}}
    for count in COUNTS[2:]:
        x = torch.randn(count, weight.shape[1]).to(dtype)
        acts = {"cpu": _dense(some, x, pool), "library": prepared_native(native, some, x, pool)}
        for name, seconds in _best(acts).items():
            times[name][count] = seconds
    gains = [c for c in times["cpu"] if times["library"][c] <= GAIN * times["cpu"][c]]
    start = min((c for c in gains if all(d in gains for d in COUNTS if d >= c)), default=0)
    why = "" if start else "the library is not faster"
    return Choice(start, why, (), _said(times))


def _judged(
    chosen: Mapping[int, float], cpu: Mapping[int, float], start: int, cuts: tuple[int, ...],
    said: str,
) -> Choice:  # fmt: skip
    for count in COUNTS:
        if chosen[count] > SLOWER * cpu[count]:
            return Choice(0, f"slower for {count} vectors", cuts, said)
    if chosen[COUNTS[-1]] > GAIN * cpu[COUNTS[-1]]:
        return Choice(0, "the library is not faster", cuts, said)
    return Choice(start, "", cuts, said)


def _some(weight: Dense) -> Dense:
    rows, columns = weight.shape
    most = max(PANEL, NUMBERS // columns // PANEL * PANEL)
    return weight if rows <= most else Dense(weight.data[:most])


def _dense(weight: Dense, x: Any, pool: Pool) -> Callable[[], None]:
    """The CPU backend's own product, ready to run."""
    counts, out = np.zeros(8, np.int64), np.empty((len(x), weight.shape[0]), np.float32)
    counts[0] = len(x)
    operation = dense_operation(
        weight, x.shape[1] * x.element_size(), x.dtype == torch.bfloat16, {
            "count": address(counts), "out": address(out), "stride": out.strides[0],
            "input": x.data_ptr(), "bias": 0, "add": 0,
        },
    )  # fmt: skip
    phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
    listed = table([operation])
    step = pool.step(phases, listed, counts)
    kept = (operation, out, x)

    def act() -> None:
        pool.run(step)
        assert kept

    return act


def _best(acts: Mapping[str, Callable[[], None]]) -> dict[str, float]:
    """The least seconds of each, in turn, so that a busy moment does not hit one of them."""
    found = dict.fromkeys(acts, float("inf"))
    for name in acts:  # once without a clock
        acts[name]()
    started, rounds = time.perf_counter(), 0
    while rounds < ROUNDS or (rounds < 50 and time.perf_counter() - started < SECONDS):
        rounds += 1
        for name, act in acts.items():
            begun = time.perf_counter()
            act()
            found[name] = min(found[name], time.perf_counter() - begun)
    return found


def _said(times: Mapping[str, Mapping[int, float]]) -> str:
    return "; ".join(
        f"{name} " + ", ".join(f"{count}: {1e3 * seconds:.3f} ms" for count, seconds in of.items())
        for name, of in times.items()
    )
