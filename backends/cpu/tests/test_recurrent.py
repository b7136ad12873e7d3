"""Recurrences against the reference, token by token, over sizes that are convenient for nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import CausalLM, DeltaRule, SelectiveScan, ShortConv
from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import KVCache
from tramontane_backend_cpu.device import probe
from tramontane_backend_cpu.eager_functions import SteadyFunctions
from tramontane_backend_cpu.prepare import prepare
from tramontane_backend_cpu.step.forward import Forward
from tramontane_backend_cpu.step.pool import shared_pool

from .test_record import looks_at_spans

CPU = torch.device("cpu")
SIZES = [(4, 2, 10, 14), (3, 3, 7, 64), (6, 1, 16, 80), (2, 1, 33, 150)]
"""heads, key heads, d_key, d_value"""


class Mixer(nn.Module):
    """A convolution, then the delta rule over its channels."""

    def __init__(
        self,
        index: int,
        sizes: tuple[int, int, int, int],
        *,
        keyed: bool,
        corrects: bool,
        width: int,
        tiled: bool = False,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        heads, key_heads, d_key, d_value = sizes
        self.d_key, self.d_value, self.heads, self.corrects = d_key, d_value, heads, corrects
        self.factors = heads * d_key if keyed else heads
        self.widths = [key_heads * d_key, key_heads * d_key, heads * d_value, self.factors, heads]
        self.conv = ShortConv(sum(self.widths), width, index, bias=keyed)
        self.rule = DeltaRule(heads, d_key, d_value, index, tiled=tiled)
        self.keyed, self.fixed = keyed, fixed

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        q, k, v, decay, beta = self.conv(x, batch).split(self.widths, -1)
        q, k = q.unflatten(-1, (-1, self.d_key)), k.unflatten(-1, (-1, self.d_key))
        k = k * torch.rsqrt((k * k).sum(-1, keepdim=True) + 1)  # or states grow without end
        decay = torch.sigmoid(decay)
        if self.keyed:
            decay = decay.unflatten(-1, (-1, self.d_key))
        if self.fixed:
            decay = torch.linspace(0.2, 0.9, self.heads, device=self.conv.weight.device)
        rate = torch.sigmoid(beta) if self.corrects else None
        out = self.rule(q, k, v.unflatten(-1, (-1, self.d_value)), decay, rate, batch)
        return out.flatten(-2)


class Mixed(CausalLM):
    """Two of them on the embedding's numbers, the second on what the first leaves of them."""

    def __init__(self, cfg: DecoderConfig, **options: object) -> None:
        super().__init__(cfg)
        self.mixers = nn.ModuleList(Mixer(index, **options) for index in range(2))  # type: ignore[arg-type]

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x = self.embed(tokens, batch)
        for mixer in self.mixers:
            out = mixer(x, batch)
            x = x * out.mean(-1, keepdim=True)
        return self.logits(self.model.norm(x[batch.wanted]))


def built(sizes: tuple[int, int, int, int], **options: object) -> Mixed:
    heads, key_heads, d_key, d_value = sizes
    factors = heads * d_key if options["keyed"] else heads
    hidden = 2 * key_heads * d_key + heads * d_value + factors + heads
    cfg = DecoderConfig(
        vocab_size=31, hidden_size=hidden, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, head_dim=4,
    )  # fmt: skip
    torch.manual_seed(hidden)
    Mixed.Layer = staticmethod(lambda cfg, index: nn.Identity())  # type: ignore[assignment]
    model = Mixed(cfg, sizes=sizes, **options)
    with torch.no_grad():
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if weight is not None and hasattr(weight, "data"):
                weight.data.normal_(0.0, 0.3)
            if getattr(module, "bias", None) is not None:
                module.bias.data.normal_()  # type: ignore[union-attr, operator]
    return model


def run(
    model: Mixed, forward: object, sequences: list[list[int]], seed: int | None
) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Logits of each sequence; seed: of the ways to mix and cut them, None: alone, at once."""
    chance, cache = random.Random(seed), KVCache(model, 64, torch.float32, CPU, state_slots=5)
    slots, done = [3, 0, 4], [0] * len(sequences)
    found: list[list[Tensor]] = [[] for _ in sequences]
    while left := [i for i, s in enumerate(sequences) if done[i] < len(s)]:
        chosen = left[:1] if seed is None else chance.sample(left, chance.randint(1, len(left)))
        rest = [len(sequences[i]) - done[i] for i in chosen]
        counts = rest if seed is None else [min(chance.choice([1, 2, 5, 9]), r) for r in rest]
        pieces, tokens = [], []
        for i, count in zip(chosen, counts, strict=True):
            tokens += sequences[i][done[i] : done[i] + count]
            pieces.append((done[i], count, 40, [8 * i + b for b in range(8)], range(count)))
            done[i] += count
        batch = Batch.of(pieces, cache, [slots[i] for i in chosen])
        out = forward(torch.tensor(tokens), batch).split(counts)  # type: ignore[operator]
        for i, part in zip(chosen, out, strict=True):
            found[i].append(part.clone())
    return [torch.cat(parts).detach().numpy() for parts in found]


DECAYS = pytest.mark.parametrize(
    ("keyed", "fixed"), [(True, False), (False, False), (False, True)],
    ids=["factors", "factor", "constant"],
)  # fmt: skip


@pytest.mark.parametrize("corrects", [True, False], ids=["delta", "plain"])
@DECAYS
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_kernels_equal_the_reference(
    sizes: tuple[int, int, int, int], keyed: bool, fixed: bool, corrects: bool
) -> None:
    model = built(sizes, keyed=keyed, fixed=fixed, corrects=corrects, width=2 + sizes[0] % 4)
    sequences = [[(7 * i + n) % 31 for i in range(n)] for n in (40, 1, 23)]
    forward = Forward(model, shared_pool(2), exact=True)
    assert forward.program is not None, forward.why
    alone = run(model, forward, sequences, None)
    with torch.no_grad():
        expected = run(model, type(model).forward.__get__(model), sequences, None)
    for mine, theirs in zip(alone, expected, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-4 * np.abs(theirs).max()
    for seed in range(3):
        for mine, same in zip(run(model, forward, sequences, seed), alone, strict=True):
            assert np.array_equal(mine, same), "other bits in other company"


@pytest.mark.parametrize("corrects", [True, False], ids=["delta", "plain"])
@DECAYS
def test_a_model_that_is_not_recorded_has_the_same_bits(
    keyed: bool, fixed: bool, corrects: bool
) -> None:
    options = {"keyed": keyed, "fixed": fixed, "corrects": corrects, "tiled": keyed}
    recorded, eager = (built(SIZES[3], width=3, **options) for _ in range(2))
    looks_at_spans(eager)
    device = probe()[0]
    assert prepare(recorded, device, 2, "f32")["step"] == "recorded"
    assert prepare(eager, device, 2, "f32")["step"].startswith("eager")
    sequences = [[(7 * i + n) % 31 for i in range(n)] for n in (21, 1, 14)]
    alone = run(eager, eager.forward, sequences, None)
    # torch's sums between them are in another order
    for mine, theirs in zip(alone, run(recorded, recorded.forward, sequences, None), strict=True):
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()
    for seed in range(3):
        for mine, same in zip(run(eager, eager.forward, sequences, seed), alone, strict=True):
            assert np.array_equal(mine, same), "other bits in other company"


@pytest.mark.parametrize("name", ["silu", "softplus", "sigmoid", "exp", "tanh", "gelu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_functions_of_a_row_do_not_depend_on_the_rows(name: str, dtype: torch.dtype) -> None:
    function = getattr(F, name, None) or getattr(torch, name)
    x = torch.randn(9, 5, 7, generator=torch.Generator().manual_seed(2)).to(dtype)
    with SteadyFunctions(shared_pool(2)):
        whole = function(x)
        assert torch.equal(whole, torch.cat([function(row[None]) for row in x]))
        method = getattr(x, name, None)
        assert method is None or torch.equal(whole, method())
        assert torch.equal(F.gelu(x, approximate="tanh")[3:4], F.gelu(x[3:4], approximate="tanh"))
    assert whole.dtype == dtype
    assert (whole - function(x)).abs().max() < (1e-5 if dtype == torch.float32 else 0.06)


def test_softplus_equals_torch() -> None:
    from tramontane_backend_cpu.kernels.rows import unary

    x = np.concatenate((np.linspace(-110, 110, 4001), [0.0, -0.0])).astype(np.float32)
    out = np.empty_like(x)
    told = np.array([x.ctypes.data, 0, out.ctypes.data, 0, len(x), 0], np.int64)
    unary("softplus").ctypes(told.ctypes.data, 0, 1)
    expected = torch.nn.functional.softplus(torch.from_numpy(x).double()).numpy()
    assert np.abs(out - expected).max() <= 2e-6 * 110
    assert (np.abs(out - expected) <= 3e-7 * np.abs(expected) + 1e-37).all()


class Selecting(nn.Module):
    """A selective scan over a row's channels; dt, B and C are other parts of it."""

    def __init__(self, index: int, channels: int, d_state: int) -> None:
        super().__init__()
        self.widths = [channels, channels, d_state, d_state]
        self.scan = SelectiveScan(channels, d_state, index)
        self.A_log = nn.Parameter(torch.randn(channels, d_state), requires_grad=False)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        values, dt, b, c = x.split(self.widths, -1)
        rates = -self.A_log.float().exp()
        return self.scan(values, F.softplus(dt.float()), rates, b, c, batch)


class Selected(Mixed):
    def __init__(self, cfg: DecoderConfig, channels: int, d_state: int) -> None:
        CausalLM.__init__(self, cfg)
        self.mixers = nn.ModuleList(Selecting(index, channels, d_state) for index in range(2))


def selected(channels: int, d_state: int) -> Selected:
    cfg = DecoderConfig(
        vocab_size=31, hidden_size=2 * (channels + d_state), intermediate_size=8,
        num_hidden_layers=1, num_attention_heads=1, head_dim=4,
    )  # fmt: skip
    torch.manual_seed(channels)
    Selected.Layer = staticmethod(lambda cfg, index: nn.Identity())  # type: ignore[assignment]
    model = Selected(cfg, channels, d_state)
    with torch.no_grad():
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if weight is not None and hasattr(weight, "data"):
                weight.data.normal_(0.0, 1.0)
    return model


@pytest.mark.parametrize(("channels", "d_state"), [(5, 1), (64, 16), (150, 7), (16, 33)])
def test_selective_scans_equal_the_reference(channels: int, d_state: int) -> None:
    model, eager = selected(channels, d_state), selected(channels, d_state)
    sequences = [[(7 * i + n) % 31 for i in range(n)] for n in (40, 1, 23)]
    with torch.no_grad():
        expected = run(model, type(model).forward.__get__(model), sequences, None)
    forward = Forward(model, shared_pool(2), exact=True)
    assert forward.program is not None, forward.why
    looks_at_spans(eager)
    assert prepare(eager, probe()[0], 2, "f32")["step"].startswith("eager")
    for each in (forward, eager.forward):
        alone = run(model if each is forward else eager, each, sequences, None)
        for mine, theirs in zip(alone, expected, strict=True):
            assert np.abs(mine - theirs).max() <= 1e-4 * np.abs(theirs).max()
        for seed in range(3):
            again = run(model if each is forward else eager, each, sequences, seed)
            for mine, same in zip(again, alone, strict=True):
                assert np.array_equal(mine, same), "other bits in other company"
