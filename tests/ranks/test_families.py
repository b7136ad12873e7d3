"""Ranks, here threads, compute what one process does: families of all kinds, 2 to 4 ranks.

All families with TRAMONTANE_FULL=1.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.blocks import CausalLM
from tramontane.checkpoint.build import Built, build
from tramontane.checkpoint.fill import assign, fill
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.parallel.split_model import Share, split_model
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.system.devices import choose_device
from tramontane.testing.forward_passes import in_pieces
from tramontane.testing.random_model import RandomCheckpoint, random_model
from tramontane.testing.thread_ranks import ThreadGroup, on_ranks

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
FEW = {
    "LlamaForCausalLM": {"Attention", "GatedMLP", "lm_head"},
    "Qwen3ForCausalLM": {"Attention", "GatedMLP", "lm_head"},
    "MixtralForCausalLM": {"Attention", "Experts", "lm_head"},
    "DeepseekV3ForCausalLM": {"LatentAttention", "Experts", "GatedMLP", "lm_head"},
    "GptOssForCausalLM": {"Attention", "Experts", "lm_head"},
    "Qwen3NextForCausalLM": {"GatedDeltaNet", "Attention", "Experts", "GatedShare", "lm_head"},
    "NemotronHForCausalLM": {"Mamba2", "Attention", "MLP", "Experts", "lm_head"},
    "JambaForCausalLM": {"Mamba", "Attention", "GatedMLP", "Experts", "lm_head"},
    "BloomForCausalLM": {"Attention", "MLP", "lm_head"},
    "CohereForCausalLM": {"Attention", "GatedMLP", "lm_head"},
    "Gemma3nForCausalLM": {"GatedMLP", "lm_head"},
    "Olmo2ForCausalLM": {"GatedMLP", "lm_head"},
}
"""Families, and what two ranks share: the last two have norms or cuts over all heads or numbers,
which each rank computes as a whole."""
PIECES = (5, 4, 1, 1, 1)
TOLERANCE = 1e-5
"""Of the largest logit: another order of sums in float32."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_environment()


def loaded(offer: Architecture, group: ThreadGroup) -> tuple[CausalLM, Share]:
    config: Any = read_config(load(offer.config), offer.example)
    model = build(offer, config)
    checkpoint = RandomCheckpoint(offer, model, config.model_dump())
    places = assign(checkpoint, model, config, offer)
    share = split_model(Built(checkpoint, offer, config, model, *places), group)
    fill(checkpoint, model, config, offer, torch.float32, LoadOptions(), share=share)
    return model, share


@torch.inference_mode()
def computed(model: CausalLM, *, stepped: bool = False) -> Tensor:
    """Logits of every token of a prompt."""
    prompt = [index * 7 % model.cfg.vocab_size for index in range(1, 13)]
    return in_pieces(model, prompt, PIECES, stepped=stepped)


def hold(offer: Architecture, size: int, weights: tuple[float, ...] = ()) -> list[Share]:
    """The shares of ranks that compute what one process does."""

    def work(group: ThreadGroup) -> tuple[Tensor, Share]:
        model, share = loaded(offer, group)
        return computed(model), share

    wanted, found = computed(random_model(offer)), on_ranks(size, work, weights)
    for logits, _ in found:
        assert torch.equal(logits, found[0][0]), "ranks differ"
        worst = float((logits - wanted).abs().max() / wanted.abs().max())
        assert worst < TOLERANCE, f"{worst:.1e} of the largest logit"
    return [share for _, share in found]


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("size", [2, 3, 4] if FULL else [2, 3])
def test_ranks_compute_what_one_process_does(registry: Registry, name: str, size: int) -> None:
    shares = hold(registry.get(Architecture, name), size)
    if size == 2:
        assert set(shares[0].split) == FEW[name]


def test_one_kv_head_is_repeated(registry: Registry) -> None:
    """Qwen3 with a single key-value head, on 2 to 4 ranks."""
    qwen = registry.get(Architecture, "Qwen3ForCausalLM")
    example = {**qwen.example, "num_attention_heads": 4, "num_key_value_heads": 1}
    offer = type(qwen)(**{**vars(qwen), "example": example})
    for size in (2, 3, 4):
        shares = hold(offer, size)
        assert all(share.split["Attention"] for share in shares)


def test_shares_follow_weights(registry: Registry) -> None:
    offer = registry.get(Architecture, "MixtralForCausalLM")
    shares = hold(offer, 2, (3.0, 1.0))
    rows = [share.cuts["lm_head.weight"].rows for share in shares]
    assert len(rows[0][0]) >= 2 * len(rows[1][0])  # type: ignore[index]


def test_bits_are_equal_from_run_to_run(registry: Registry) -> None:
    offer = registry.get(Architecture, "MixtralForCausalLM")

    def work(group: ThreadGroup) -> Tensor:
        model, _ = loaded(offer, group)
        return computed(model)

    assert torch.equal(on_ranks(3, work)[0], on_ranks(3, work)[2])


@pytest.mark.parametrize("name", ["MixtralForCausalLM", "Qwen3NextForCausalLM"])
def test_the_recorded_step_calls_the_group(registry: Registry, name: str) -> None:
    from tramontane_backend_cpu.prepare import prepare

    offer = registry.get(Architecture, name)
    device, _ = choose_device("cpu", registry)

    def work(group: ThreadGroup) -> Tensor:
        model, _ = loaded(offer, group)
        assert prepare(model, device, 1)["step"] == "recorded"
        return computed(model, stepped=True)

    found, wanted = on_ranks(2, work), computed(random_model(offer))
    assert torch.equal(*found)
    assert float((found[0] - wanted).abs().max() / wanted.abs().max()) < TOLERANCE


def test_a_model_that_cross_attends_is_refused(registry: Registry) -> None:
    offer = registry.get(Architecture, "MllamaForConditionalGeneration")
    with pytest.raises(ConfigError, match="leave --tp"):
        on_ranks(2, lambda group: loaded(offer, group))


@pytest.mark.skipif(not FULL, reason="all families: TRAMONTANE_FULL=1")
@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_family(registry: Registry, size: int) -> None:
    seen, wrong = set(), []
    for offer in registry.all(Architecture):
        if offer.task != "text" or offer.model in seen:
            continue
        seen.add(offer.model)
        try:
            model = build(offer, read_config(load(offer.config), offer.example))  # type: ignore[arg-type]
            if not isinstance(model, CausalLM):
                continue
            hold(offer, size)
        except ConfigError:
            continue
        except Exception as error:  # noqa: BLE001 - all of them are told together
            wrong.append(f"{offer.name}: {type(error).__name__}: {error}"[:200])
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 80
