"""What of a token is cached, which router a model has, and what files say otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.blocks import BiasedRouter, GroupedRouter, Router, latent_scale
from tramontane.config import read_config
from tramontane.engine.kv_cache import bytes_per_token
from tramontane.engine.kv_shapes import kv_shapes
from tramontane.errors import ConfigError
from tramontane_arch_deepseek.model import Deepseek, DeepseekV2Config, DeepseekV3Config, router
from tramontane_arch_deepseek.plugin import TINY


def test_of_a_token_the_latent_and_the_rotated_key_are_cached() -> None:
    with torch.device("meta"):
        model = Deepseek(read_config(DeepseekV3Config, TINY))
    assert kv_shapes(model) == [(1, 4, 16)] * 2
    assert bytes_per_token(model, torch.float16) == 2 * 2 * (4 + 16)


@pytest.mark.parametrize(
    ("config", "change", "kind"),
    [
        (DeepseekV2Config, {"topk_method": "greedy"}, Router),
        (DeepseekV2Config, {"n_group": None}, Router),
        (DeepseekV2Config, {"topk_method": "group_limited_greedy"}, GroupedRouter),
        (DeepseekV3Config, {}, BiasedRouter),
        (DeepseekV2Config, {"expert_gating_func": 2}, BiasedRouter),
    ],
)
def test_routers(config: type[DeepseekV2Config], change: dict[str, Any], kind: type) -> None:
    assert type(router(read_config(config, {**TINY, **change}))) is kind


def test_only_the_best_groups_are_chosen_from() -> None:
    gate = GroupedRouter(4, 8, 2, groups=(4, 1), normalize=True)
    weights, chosen = gate.choose(torch.tensor([[0.0, 0.1, 3.0, 2.0, 2.9, 2.8, 2.7, 2.6]]))
    assert chosen.tolist() == [[2, 3]]  # though others outside are better than the second
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_experts_per_tok": 9}, "num_experts_per_tok 9 of 8 experts"),
        ({"n_group": 3}, "n_group"),
        ({"topk_group": 5}, "topk_group"),
        ({"num_experts_per_tok": 5}, "5 experts of 2 of 4 groups"),
        ({"n_group": 8, "topk_group": 8}, "two in each"),
    ],
)
def test_groups_that_cannot_be_are_refused(change: dict[str, Any], said: str) -> None:
    config = read_config(DeepseekV3Config, {**TINY, **change})
    with pytest.raises(ConfigError, match=said), torch.device("meta"):
        Deepseek(config)


def test_longer_contexts_scale_scores() -> None:
    yarn = {"rope_type": "yarn", "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 1.0}
    yarn["original_max_position_embeddings"] = 4096
    config, longer = (
        read_config(DeepseekV3Config, {**TINY, "rope_scaling": r}) for r in (None, yarn)
    )
    plain, scaled = latent_scale(config, config), latent_scale(longer, longer)
    assert plain == 12**-0.5
    assert scaled / plain == pytest.approx((0.1 * 3.6888794541139363 + 1) ** 2)


def test_sizes_that_files_state_as_whole_heads() -> None:
    told = {key: value for key, value in TINY.items() if key != "qk_nope_head_dim"}
    config = read_config(DeepseekV3Config, {**told, "head_dim": 20, "key_length_mla": 12})
    assert (config.qk_nope_head_dim, config.head_dim) == (8, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"moe_layer_freq": 2},
        {"scoring_func": "tanh"},
        {"kv_lora_rank": 0},
        {"mlp_bias": True},
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(DeepseekV3Config, {**TINY, **change})


@pytest.mark.parametrize("change", [{"norm_topk_prob": True}, {"topk_method": "noaux_tc"}])
def test_what_v2_has_not_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(DeepseekV2Config, {**TINY, **change})


def test_null_is_no_rank_of_queries_and_a_missing_key_the_usual_one() -> None:
    told = {key: value for key, value in TINY.items() if key != "q_lora_rank"}
    assert read_config(DeepseekV2Config, told).q_lora_rank == 1536
    assert read_config(DeepseekV2Config, {**told, "q_lora_rank": None}).q_lora_rank is None
