"""RWKV-7's settings as they are published, and what is refused."""

from __future__ import annotations

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_rwkv.config import ArwkvConfig, RwkvConfig
from tramontane_arch_rwkv.model import Rwkv
from tramontane_arch_rwkv.plugin import TINY
from tramontane_arch_rwkv.weights import Mixes, metadata

PUBLISHED = {
    "a_low_rank_dim": 96, "architectures": ["RWKV7ForCausalLM"], "attn": None,
    "attn_mode": "chunk", "bos_token_id": 0, "decay_low_rank_dim": 96, "eos_token_id": 0,
    "fuse_cross_entropy": True, "fuse_norm": False, "gate_low_rank_dim": 256, "head_dim": 64,
    "hidden_act": "sqrelu", "hidden_ratio": 4.0, "hidden_size": 2048, "intermediate_size": 8192,
    "max_position_embeddings": 2048, "model_type": "rwkv7", "norm_bias": True, "norm_eps": 1e-05,
    "norm_first": True, "num_heads": 32, "num_hidden_layers": 24, "tie_word_embeddings": False,
    "use_cache": True, "v_low_rank_dim": 64, "value_dim": [2048] * 24, "vocab_size": 65536,
}  # fmt: skip


def test_a_published_configuration() -> None:
    cfg = read_config(RwkvConfig, PUBLISHED)
    assert (cfg.num_attention_heads, cfg.head_dim, cfg.intermediate_size) == (32, 64, 8192)
    assert cfg.group_norm_eps == pytest.approx(64e-5)


def test_what_is_left_out() -> None:
    sizes = {"vocab_size": 64, "hidden_size": 96, "num_hidden_layers": 2}
    cfg = read_config(RwkvConfig, {**sizes, "head_dim": None, "num_heads": 2, "hidden_ratio": 3.5})
    assert (cfg.head_dim, cfg.num_attention_heads) == (48, 2)
    assert cfg.intermediate_size == 352  # 336, and then a multiple of 32
    ranks = (cfg.decay_low_rank_dim, cfg.a_low_rank_dim, cfg.v_low_rank_dim, cfg.gate_low_rank_dim)
    assert ranks == (64, 64, 16, 128)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "silu"}, "hidden_act='silu'"),
        ({"attn": {"layers": [1]}}, "attn="),
        ({"value_dim": [32, 64]}, "value_dim 64 is not hidden_size 32"),
        ({"head_dim": 12}, "hidden_size 32 is not a multiple of head_dim 12"),
        ({"head_dim": None, "num_heads": 5}, "num_heads 5 does not divide hidden_size 32"),
        ({"intermediate_size": None, "hidden_ratio": 0}, "hidden_ratio 0"),
        ({"gate_low_rank_dim": 0}, "gate_low_rank_dim=0"),
    ],
)
def test_what_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(RwkvConfig, {**TINY, **change})


def test_metadata_of_a_file() -> None:
    said = {"arwkv7.wkv.head_size": 64, "arwkv7.attention.gate_lora_rank": 0}
    found = metadata(said, {"model_type": "arwkv7", "hidden_size": 256, "num_attention_heads": 0})
    assert found["num_attention_heads"] == 4
    cfg = read_config(ArwkvConfig, {**TINY, "hidden_size": 256, **found, "group_norm": False})
    assert (cfg.head_dim, cfg.gate_low_rank_dim, cfg.group_norm) == (64, 0, False)


def test_mixes_of_another_count_are_refused() -> None:
    with torch.device("meta"):
        model = Rwkv(read_config(RwkvConfig, TINY))
    rule, path = Mixes("model.layers.*.attn.x_x"), "model.layers.1.attn.x_v"
    rows = torch.arange(6.0)[:, None, None].expand(6, 1, 32)
    made = rule.change(Dense(rows), path, model)
    assert torch.equal(made.decode(), torch.full((32,), 3.0))
    with pytest.raises(ValueError, match="mixes of 6 inputs"):
        rule.change(Dense(rows[:5]), path, model)
