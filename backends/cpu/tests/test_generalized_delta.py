"""RWKV-7's recurrence and the shift by a token: recorded, eager, and as the reference has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from tramontane.blocks import CausalLM, GeneralizedDeltaRule, TokenShift
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.prepare import prepare
from tramontane_backend_cpu.step.forward import Forward
from tramontane_backend_cpu.step.pool import shared_pool

from .test_record import looks_at_spans
from .test_recurrent import run

SIZES = [(4, 10, 14), (3, 7, 64), (6, 16, 80), (1, 33, 150)]
"""heads, d_key, d_value"""
SEQUENCES = [[(7 * i + n) % 31 for i in range(n)] for n in (40, 1, 23)]


class Mixer(nn.Module):
    """All inputs of the rule from the last token's numbers and this one's."""

    def __init__(self, index: int, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        heads, self.d_key, self.d_value = sizes
        self.widths = [heads * self.d_key] * 5 + [heads * self.d_value]
        self.shift = TokenShift(sum(self.widths), index)
        self.rule = GeneralizedDeltaRule(*sizes, index)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed = x + (self.shift(x, batch) - x) * 0.3
        *keyed, v = mixed.split(self.widths, -1)
        q, k, decay, a, rate = (each.unflatten(-1, (-1, self.d_key)) for each in keyed)
        a = a * torch.rsqrt((a * a).sum(-1, keepdim=True) + 1e-6)
        b, values = a * torch.sigmoid(rate), v.unflatten(-1, (-1, self.d_value))
        return self.rule(q, k, values, torch.sigmoid(decay), -a, b, batch).flatten(-2)  # type: ignore[no-any-return]


class Mixed(CausalLM):
    Layer = staticmethod(lambda cfg, index: nn.Identity())  # type: ignore[assignment]

    def __init__(self, cfg: DecoderConfig, sizes: tuple[int, int, int]) -> None:
        super().__init__(cfg)
        self.mixers = nn.ModuleList(Mixer(index, sizes) for index in range(2))

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x = self.embed(tokens, batch)
        for mixer in self.mixers:
            x = x * mixer(x, batch).mean(-1, keepdim=True)
        return self.logits(self.model.norm(x[batch.wanted]))


def built(sizes: tuple[int, int, int]) -> Mixed:
    heads, d_key, d_value = sizes
    cfg = DecoderConfig(
        vocab_size=31, hidden_size=heads * (5 * d_key + d_value), intermediate_size=8,
        num_hidden_layers=1, num_attention_heads=1, head_dim=4,
    )  # fmt: skip
    torch.manual_seed(heads)
    model = Mixed(cfg, sizes)
    with torch.no_grad():
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if weight is not None:
                weight.data.normal_(0.0, 0.3)
    return model


def near(ours: list[np.ndarray], theirs: list[np.ndarray], bound: float) -> bool:  # type: ignore[type-arg]
    pairs = zip(ours, theirs, strict=True)
    return all(np.abs(one - other).max() <= bound * np.abs(other).max() for one, other in pairs)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_kernels_equal_the_reference(sizes: tuple[int, int, int]) -> None:
    model = built(sizes)
    forward = Forward(model, shared_pool(2), exact=True)
    assert forward.program is not None, forward.why
    alone = run(model, forward, SEQUENCES, None)  # type: ignore[arg-type]
    with torch.no_grad():
        expected = run(model, type(model).forward.__get__(model), SEQUENCES, None)  # type: ignore[arg-type]
    assert near(alone, expected, 1e-4)
    for seed in range(3):
        for mine, same in zip(run(model, forward, SEQUENCES, seed), alone, strict=True):  # type: ignore[arg-type]
            assert np.array_equal(mine, same), "other bits in other company"


def test_a_model_that_is_not_recorded_has_the_same_bits() -> None:
    recorded, eager = built(SIZES[2]), built(SIZES[2])
    looks_at_spans(eager)
    device = probe()[0]
    assert prepare(recorded, device, 2, "f32")["step"] == "recorded"
    assert prepare(eager, device, 2, "f32")["step"].startswith("eager")
    alone = run(eager, eager.forward, SEQUENCES, None)  # type: ignore[arg-type]
    # torch's sums between them are in another order
    assert near(alone, run(recorded, recorded.forward, SEQUENCES, None), 1e-5)  # type: ignore[arg-type]
    for seed in range(3):
        for mine, same in zip(run(eager, eager.forward, SEQUENCES, seed), alone, strict=True):  # type: ignore[arg-type]
            assert np.array_equal(mine, same), "other bits in other company"
