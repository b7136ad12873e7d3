"""What layers of Zamba2 share, which rotate, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_zamba2.config import Zamba2Config
from tramontane_arch_zamba2.model import HybridLayer, MambaLayer, Zamba2
from tramontane_arch_zamba2.plugin import TINY as EXAMPLE

TINY: dict[str, Any] = {
    **EXAMPLE,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "layers_block_type": ["mamba", "hybrid", "hybrid", "hybrid"],
    "num_mem_blocks": 2,
}


def model(**change: Any) -> Any:
    with torch.device("meta"):
        return Zamba2(read_config(Zamba2Config, {**TINY, **change}))


def test_blocks_take_turns() -> None:
    first, *hybrid = model().model.layers
    assert isinstance(first, MambaLayer)
    assert all(isinstance(each, HybridLayer) for each in hybrid)
    one, two, again = (each.shared_transformer for each in hybrid)
    assert again.self_attn.q_proj is one.self_attn.q_proj
    assert again.feed_forward.down_proj is one.feed_forward.down_proj
    assert again.input_layernorm is one.input_layernorm
    assert two.self_attn.q_proj is not one.self_attn.q_proj
    assert again.self_attn.q_adapter is not one.self_attn.q_adapter
    assert again.feed_forward.adapter is not one.feed_forward.adapter
    assert [each.self_attn.index for each in (one, two, again)] == [1, 2, 3]


def test_shared_matrices_are_in_memory_once() -> None:
    names = [name for name, _ in model().named_modules()]
    assert sum(name.endswith("self_attn.q_proj") for name in names) == 2
    assert sum(name.endswith("self_attn.q_adapter.up") for name in names) == 3
    plain = model(use_shared_attention_adapter=False).named_modules()
    assert not any("q_adapter" in name for name, _ in plain)


def test_what_rotates_and_how_scores_are_scaled() -> None:
    attention = model().model.layers[1].shared_transformer.self_attn
    assert attention.rope.dim == attention.d_head == 16
    assert attention.scale == pytest.approx(8**-0.5)
    assert model(use_mem_rope=False).model.layers[1].shared_transformer.self_attn.rope is None


def test_what_is_left_out() -> None:
    sizes = {key: value for key, value in TINY.items() if key != "layers_block_type"}
    cfg = read_config(Zamba2Config, {**sizes, "num_hidden_layers": 54, "intermediate_size": None})
    assert cfg.hybrid == [6, 12, 18, 24, 30, 36, 42, 47, 51]
    assert cfg.intermediate_size == 4 * cfg.hidden_size
    assert read_config(
        Zamba2Config, {**TINY, "use_long_context": True}
    ).max_position_embeddings == (16_384)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "silu"},
        {"tie_word_embeddings": False},
        {"attention_head_dim": 8},
        {"mamba_headdim": 8},
        {"n_mamba_heads": 5},
        {"mamba_ngroups": 3},
        {"num_mem_blocks": 0},
        {"adapter_rank": 0},
        {"num_attention_heads": 5},
    ],
    ids=str,
)
def test_what_is_refused(change: dict[str, Any]) -> None:
    name = next(iter(change))
    inside = {"n_mamba_heads": "mamba_n_heads", "mamba_ngroups": "mamba_n_groups",
              "mamba_headdim": "mamba_d_head"}  # fmt: skip
    with pytest.raises(ConfigError, match=inside.get(name, name)):
        read_config(Zamba2Config, {**TINY, **change})


def test_kinds_of_layers_that_are_not_known_or_too_few() -> None:
    with pytest.raises(ConfigError, match=r"layer_types.*full_attention"):
        model(layers_block_type=["full_attention", "hybrid", "hybrid", "hybrid"])
    with pytest.raises(ConfigError, match="layer_types has 1 entries for 4 layers"):
        model(layers_block_type=["hybrid"])
