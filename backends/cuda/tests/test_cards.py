"""What is decided by what a card can do."""

from __future__ import annotations

import pytest
import torch
from tramontane.backend import STEP, Device, eager_reason
from tramontane.errors import ConfigError
from tramontane.testing.forward_passes import whole
from tramontane.testing.tiny_model import tiny_model
from tramontane_backend_cuda import prepare as prepared
from tramontane_backend_cuda import triton_here
from tramontane_backend_cuda.card import Card
from tramontane_backend_cuda.prepare import has_kernels, multiply, prepare, refuse_dtype

OLD = Device(name="cuda", torch_device="cpu", label="RTX 2080", memory_total=1, memory_free=1)


@pytest.mark.parametrize(
    ("capability", "many"), [((8, 0), 64), ((8, 9), 64), ((9, 0), 32), ((10, 0), 32), ((12, 0), 64)]
)
def test_tiles_stay_below_what_other_instructions_take(
    capability: tuple[int, int], many: int
) -> None:
    assert Card(capability).many == many


def test_old_cards_have_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_here, "installed", lambda: True)
    assert [has_kernels(Card(each)) for each in ((6, 1), (7, 5), (8, 0))] == [False, False, True]
    assert has_kernels(Card()), "other makers' cards"
    assert not has_kernels(Card(is_one=False)), "the CPU"
    monkeypatch.setattr(triton_here, "installed", lambda: False)
    assert not has_kernels(Card((9, 0)))


def test_bfloat16_on_an_old_card_is_refused_with_the_way_out() -> None:
    model = tiny_model("float32")
    refuse_dtype(model, OLD, Card((7, 5)))
    model.model.embed_tokens.dtype = torch.bfloat16
    refuse_dtype(model, OLD, Card((8, 6)))
    with pytest.raises(ConfigError, match=r"RTX 2080 .* 7\.5, .* --dtype f16 or f32"):
        refuse_dtype(model, OLD, Card((7, 5)))


def test_an_old_card_runs_by_torchs_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its part is played by the CPU."""
    monkeypatch.setattr(prepared, "card_of", lambda where: Card((7, 5)))
    model = tiny_model("affine4")
    chosen = prepare(model, OLD, None)
    assert set(chosen.values()) - {chosen[STEP]} == {"torch, decoded"}
    assert eager_reason(chosen)
    prompt = list(range(9))
    assert torch.equal(whole(model, prompt), whole(tiny_model("affine4"), prompt))


def test_adapters_products_without_a_card_are_the_references() -> None:
    from tramontane.layouts import Dense
    from tramontane.layouts.low_rank import LowRank

    x, pair = torch.randn(3, 16), LowRank(torch.randn(8, 2), torch.randn(2, 16))
    product = multiply(None)
    torch.testing.assert_close(product(x, pair), x @ pair.decode().T)
    data = torch.randn(8, 16)
    torch.testing.assert_close(product(x, Dense(data)), x @ data.T)
