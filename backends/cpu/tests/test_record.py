"""Models become lists of kernels where they can, and run as they are written where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.testing.forward_passes import together, whole
from tramontane.testing.tiny_model import LAYOUTS, tiny_model
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare

PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 33, 8)]
Bend = Callable[[CausalLM], None]


def softcap(model: CausalLM) -> None:
    model.logits = lambda x: torch.tanh(model.lm_head(x) / 3.0) * 3.0  # type: ignore[method-assign]


def larger_embedding(model: CausalLM) -> None:
    scale = torch.tensor(1.5)
    model.embed = lambda tokens, batch: model.model.embed_tokens(tokens) * scale  # type: ignore[method-assign]


def relu_and_squares(model: CausalLM) -> None:
    for layer in model.model.layers:
        layer.mlp.act = lambda x: torch.relu(x).square() - 0.5 * x  # type: ignore[union-attr]


def no_kernel(model: CausalLM) -> None:
    model.logits = lambda x: torch.erfinv(torch.tanh(model.lm_head(x)))  # type: ignore[method-assign]


def looks_at_spans(model: CausalLM) -> None:
    written = type(model).forward

    def forward(self: CausalLM, tokens: Tensor, batch: Any) -> Tensor:
        assert len(batch.spans) > 0
        return written(self, tokens, batch)

    model.__class__ = type("Looks", (type(model),), {"forward": forward})


def prepared(bend: Bend, layout: str, activations: str) -> tuple[CausalLM, str]:
    model = tiny_model(layout)
    bend(model)
    chosen = prepare(model, probe()[0], 2, activations)
    return model, chosen["step"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bend", [softcap, larger_embedding, relu_and_squares])
def test_recorded(bend: Bend, layout: str) -> None:
    model, step = prepared(bend, layout, "f32")
    assert step == "recorded"
    compare(model, bend, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("bend", "why"), [(no_kernel, "erfinv"), (looks_at_spans, "no attribute 'spans'")]
)
def test_as_written(bend: Bend, why: str, layout: str) -> None:
    model, step = prepared(bend, layout, "f32")
    assert step.startswith("eager: ")
    assert why in step
    compare(model, bend, layout)


def compare(model: CausalLM, bend: Bend, layout: str) -> None:
    reference = tiny_model(layout)
    bend(reference)
    expected = [whole(reference, prompt) for prompt in PROMPTS]
    alone = [whole(model, prompt) for prompt in PROMPTS]
    for got, logits in zip([*alone, *together(model, PROMPTS)], [*expected] * 2, strict=True):
        assert float((got - logits).norm() / logits.norm()) < 1e-3


def test_steps_of_any_size_share_one_program() -> None:
    model, _ = prepared(softcap, "affine4", "auto")
    first = whole(model, PROMPTS[1])
    long = [(5 * i) % 320 for i in range(200)]
    whole(model, long)
    assert torch.equal(whole(model, PROMPTS[1]), first)


class Operations(TorchDispatchMode):
    """Notes all that torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **kwargs or {})


def test_a_steady_step_has_no_torch_operation_and_the_same_logits() -> None:
    model, _ = prepared(softcap, "affine4", "auto")
    cache = KVCache(model, 8, torch.float32, torch.device("cpu"))
    prompt, blocks = PROMPTS[1], cache.take(3)
    expected = whole(model, prompt)[-1:]

    def step(first: int, tokens: list[int]) -> Any:
        piece = (first, len(tokens), len(prompt), blocks, [len(tokens) - 1])
        return model.step(tokens, Batch.of([piece], cache))

    assert step(0, prompt).tolist() == expected.tolist()
    with Operations() as operations:
        step(len(prompt), [5])
    assert operations.seen == []
    with operations:
        model(torch.tensor([5]), Batch.of([(len(prompt), 1, len(prompt), blocks, [0])], cache))
    assert operations.seen  # so it would see them


def test_what_is_asked_for_in_tensors_is_the_callers_own() -> None:
    model, _ = prepared(softcap, "affine4", "auto")
    first = whole(model, PROMPTS[1])
    kept = first.clone()
    whole(model, PROMPTS[2])
    assert torch.equal(first, kept)


def test_a_model_is_as_it_was_after_recording() -> None:
    model, _ = prepared(softcap, "affine4", "auto")
    for module in model.modules():
        assert "forward" not in vars(module) or module is model
