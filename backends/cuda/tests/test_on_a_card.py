"""What only a card can show. Skips where there is none, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tramontane import reference
from tramontane.backend import Device
from tramontane.blocks import CausalLM
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane.layouts import Dense
from tramontane.testing.forward_passes import whole
from tramontane.testing.rounding import relative
from tramontane.testing.tiny_model import LAYOUTS, tiny_model
from tramontane.testing.tiny_variants import VARIANTS
from tramontane_backend_cuda import explain
from tramontane_backend_cuda.device import probe

pytestmark = pytest.mark.gpu
PROMPT = [(7 * i + 3) % 320 for i in range(600)]
ROUNDING = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.fixture
def card(record_property: Any) -> Device:
    """The first card; its name goes into the report."""
    found = [device for device in probe() if device.torch_device != "cpu"]
    if not found:
        why = "; ".join(reason.message for reason in explain.explain())
        pytest.skip(f"no graphics card here: {why}")
    record_property("card", found[0].label)
    return found[0]


def put(model: CausalLM, card: Device) -> dict[str, str]:
    from tramontane_backend_cuda.prepare import prepare

    return dict(prepare(model, card, None))


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products(card: Device, layout: str, dtype: torch.dtype) -> None:
    from tramontane_backend_cuda.card import card_of
    from tramontane_backend_cuda.prepare import moved
    from tramontane_backend_cuda.products import Multiply

    torch.manual_seed(0)
    weight = LAYOUTS[layout](torch.randn(1100, 4096))
    x = torch.randn(300, 4096).to(dtype)
    expected = reference.linear(x.float(), weight)
    multiply = Multiply(card_of(card.torch_device))
    there, x = moved(weight, card.torch_device), x.to(card.torch_device)
    together = multiply(x, there)
    assert relative(together, expected) < ROUNDING[dtype]
    for first, count in ((0, 1), (1, 7), (16, 16), (17, 33), (0, 300)):
        own = multiply(x[first : first + count], there)
        assert torch.equal(own, together[first : first + count]), "a row's bits depend on others"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kv_type", [torch.float16, torch.float8_e4m3fn, torch.int8], ids=str)
def test_logits(card: Device, variant: str, kv_type: torch.dtype) -> None:
    plain, model = (tiny_model("affine4", VARIANTS[variant]) for _ in range(2))
    put(model, card)
    expected = whole(plain, PROMPT, kv_dtype=kv_type)
    got = whole(model, PROMPT, torch.device(card.torch_device), kv_type)
    assert relative(got, expected) < 1e-2


class Answers:
    """Sequences that generate greedily in one cache."""

    def __init__(self, model: CausalLM, lengths: Sequence[int], card: Device) -> None:
        self.model, self.tokens = model, [list(PROMPT[:length]) for length in lengths]
        device = torch.device(card.torch_device)
        self.cache = KVCache(model, 80 * len(lengths), torch.float16, device)
        self.held = [self.cache.take(80) for _ in lengths]
        for row, tokens in enumerate(self.tokens):
            piece = (0, len(tokens), len(tokens), self.held[row], [len(tokens) - 1])
            self.take([row], model.step(tokens, Batch.of([piece], self.cache)))

    def take(self, rows: Sequence[int], logits: Any) -> None:
        for row, chosen in zip(rows, logits.argmax(-1).tolist(), strict=True):
            self.tokens[row].append(chosen)

    def go_on(self, rows: Sequence[int]) -> Any:
        pieces = [
            (len(self.tokens[r]) - 1, 1, len(self.tokens[r]), self.held[r], [0]) for r in rows
        ]
        last = [self.tokens[row][-1] for row in rows]
        logits = self.model.step(last, Batch.of(pieces, self.cache)).copy()
        self.take(rows, logits)
        return logits


@pytest.mark.parametrize("variant", ["plain", "window", "experts"])
def test_recorded_steps_alone_and_in_company(card: Device, variant: str) -> None:
    """Bits with recordings and without, of one sequence and of five, are the same."""
    import threading

    from tramontane.backend import BACKGROUND

    recorded, plain = (tiny_model("affine4", VARIANTS[variant]) for _ in range(2))
    put(recorded, card)
    put(plain, card)
    steps: Any = recorded.step.__self__  # type: ignore[attr-defined]
    plain.step = plain.step.__self__._eager  # type: ignore[attr-defined,method-assign]
    lengths = (3, 40, 511, 520, 90)
    many, alone = Answers(recorded, lengths, card), Answers(plain, lengths, card)
    for _ in range(20):
        together = many.go_on(range(5))
        for thread in threading.enumerate():
            if thread.name == BACKGROUND:
                thread.join()
        for row in range(5):
            assert (alone.go_on([row])[0] == together[row]).all()
    assert steps.why is None
    assert steps.played > 10


def test_memory_is_flat_after_a_thousand_requests(card: Device) -> None:
    model = tiny_model("affine4")
    put(model, card)
    sizes = []
    for _ in range(4):
        for request in range(250):
            Answers(model, (1 + request % 50,), card).go_on([0])
        torch.cuda.synchronize()
        sizes.append(torch.cuda.memory_allocated(card.torch_device))
    assert max(sizes[1:]) <= sizes[0] * 1.01 + (1 << 20), sizes


def test_a_dense_product_is_as_good_as_torchs(card: Device) -> None:
    from tramontane_backend_cuda.card import card_of
    from tramontane_backend_cuda.products import Multiply

    data = torch.randn(2048, 2048, dtype=torch.bfloat16)
    x = torch.randn(64, 2048, dtype=torch.bfloat16)
    exact = x.double() @ data.double().T
    there = data.to(card.torch_device)
    own = Multiply(card_of(card.torch_device))(x.to(card.torch_device), Dense(there))
    theirs = x.to(card.torch_device) @ there.T
    assert relative(own, exact) < 1.1 * relative(theirs, exact)
