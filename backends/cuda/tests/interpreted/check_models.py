"""Whole models with these kernels: prepared, in pieces, and as recorded steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tramontane.backend import STEP, eager_reason
from tramontane.blocks import CausalLM, Linear
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.testing.forward_passes import whole
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import tiny_model
from tramontane.testing.tiny_variants import VARIANTS
from tramontane_backend_cuda.device import probe
from tramontane_backend_cuda.graphs import BUCKETS, RecordedSteps, key_of
from tramontane_backend_cuda.prepare import pack, prepare

from .conftest import FULL
from .recorded_lists import at_once, record

PROMPT = [(7 * i + 3) % 320 for i in range(19)]
NAMES = list(VARIANTS) if FULL else ["plain", "window", "experts"]


def prepared(variant: str, layout: str = "float32") -> CausalLM:
    model = tiny_model(layout, VARIANTS[variant])
    chosen = prepare(model, probe()[0], 1)
    assert set(chosen.values()) - {chosen[STEP]} == {"triton"}
    assert eager_reason(chosen) == "this is Triton's interpreter"
    return model


@pytest.mark.parametrize("variant", NAMES)
def test_logits(variant: str) -> None:
    expected = whole(tiny_model("float32", VARIANTS[variant]), PROMPT)
    assert relative(whole(prepared(variant), PROMPT), expected) < 1e-5


def test_a_matrix_is_packed_by_moving_it() -> None:
    linear = next(m for m in tiny_model("affine4").modules() if isinstance(m, Linear))
    made = pack(linear.weight, probe()[0], 1)
    assert made.kind == linear.weight.kind
    assert torch.equal(made.decode(), linear.weight.decode())


class Sequences:
    """Some sequences that grow in one cache, and the logits of each step."""

    def __init__(self, model: CausalLM, lengths: Sequence[int]) -> None:
        self.cache = KVCache(model, 4 * len(lengths), torch.float32, torch.device("cpu"))
        self.held = [self.cache.take(4)[::-1] for _ in lengths]
        self.lengths = list(lengths)
        with torch.inference_mode():
            for row, length in enumerate(lengths):
                piece = (0, length, length, self.held[row], [0])
                ids = [self.token(row, i) for i in range(length)]
                model.forward(torch.tensor(ids), Batch.of([piece], self.cache))

    def token(self, row: int, position: int) -> int:
        return (7 * position + row) % 320

    def step(self, run: Callable[..., Any], rows: Sequence[int]) -> torch.Tensor:
        pieces = [(self.lengths[r], 1, self.lengths[r], self.held[r], [0]) for r in rows]
        tokens = [self.token(row, self.lengths[row]) for row in rows]
        out = torch.from_numpy(run(tokens, Batch.of(pieces, self.cache)).copy())
        for row in set(rows):
            self.lengths[row] += 1
        return out


STEPS = ([0, 1, 2], [0, 1, 2], [2, 1], [0, 1, 2])


@pytest.mark.parametrize("variant", ["window", "experts"])
def test_recorded_steps_have_the_same_bits(variant: str) -> None:
    model = prepared(variant)
    steps = RecordedSteps(model, record, at_once)
    one, other = (Sequences(model, (5, 20, 1)) for _ in range(2))
    for rows in STEPS:
        assert torch.equal(one.step(model.step, rows), other.step(steps.step, rows))
    assert steps.why is None
    assert steps.played == 2, "the second step, and the last; the third is of other size"


def test_rows_that_a_bucket_has_too_many_repeat_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with a step that has them too: the last bits of torch's own functions depend on how
    many numbers there are, on the CPU."""
    monkeypatch.setattr("tramontane_backend_cuda.graphs.BUCKETS", (4,))
    model = prepared("plain", "affine4")
    steps = RecordedSteps(model, record, at_once)
    one, other = (Sequences(model, (5, 9)) for _ in range(2))
    for rows in ([0, 1], [1], [0, 1]):
        filled = [*rows, *[rows[0]] * (4 - len(rows))]
        expected = one.step(model.step, filled)[: len(rows)]
        got = other.step(steps.step, rows)
        assert torch.equal(expected, got) or steps.played == 0
    assert steps.played == 2


def test_a_recording_is_made_anew_for_another_cache() -> None:
    model = prepared("plain")
    steps = RecordedSteps(model, record, at_once)
    for _ in range(2):
        one, other = (Sequences(model, (5,)) for _ in range(2))
        for _ in range(2):
            assert torch.equal(one.step(model.step, [0]), other.step(steps.step, [0]))
    assert steps.played == 2


def test_a_model_that_waits_for_the_device_runs_operation_by_operation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = prepared("plain")
    forward = model.forward

    def waits(tokens: torch.Tensor, batch: Batch) -> torch.Tensor:
        out: torch.Tensor = forward(tokens, batch)
        return out * float(out[0, 0].sign().abs())

    model.forward = waits  # type: ignore[method-assign]
    steps = RecordedSteps(model, record, at_once)
    one, other = (Sequences(model, (5,)) for _ in range(2))
    for _ in range(3):
        assert torch.equal(one.step(model.step, [0]), other.step(steps.step, [0]))
    assert steps.played == 0
    assert steps.why is not None
    assert "waits for the device" in steps.why
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "run operation by operation" in caplog.text


def test_a_layer_that_reads_sequences_is_not_recorded() -> None:
    model = prepared("plain")
    forward = model.forward

    def reads(tokens: torch.Tensor, batch: Batch) -> torch.Tensor:
        assert batch.spans is not None
        return forward(tokens, batch)  # type: ignore[no-any-return]

    model.forward = reads  # type: ignore[method-assign]
    steps = RecordedSteps(model, record, at_once)
    sequences = Sequences(model, (5,))
    sequences.step(steps.step, [0])
    assert steps.why == "a layer reads the sequences of a step one by one"


def test_steps_that_are_not_recorded() -> None:
    model = tiny_model("float32")
    cache = KVCache(model, 100, torch.float32, torch.device("cpu"))
    one = (4, 1, 5, [0], [0])
    assert key_of(Batch.of([one], cache)) == (1, 0)
    assert key_of(Batch.of([one] * 9, cache)) == (16, 0)
    assert key_of(Batch.of([(1100, 1, 1101, list(range(69)), [0])], cache)) == (1, 4)
    assert key_of(Batch.of([one] * (BUCKETS[-1] + 1), cache)) is None
    assert key_of(Batch.of([(0, 5, 5, [0], [4])], cache)) is None
    assert key_of(Batch.of([(4, 1, 5, [0], [])], cache)) is None
    adapted = Batch.of([one], cache)
    adapted.adapted = True
    assert key_of(adapted) is None
