"""Where q, v and k lie in the fused matrix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import Split
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane.layouts import Dense
from tramontane_arch_codegen.model import WEIGHTS, CodeGen, CodeGenConfig
from tramontane_arch_codegen.plugin import TINY


@pytest.mark.parametrize(("name", "first"), [("q_proj", 0), ("v_proj", 8), ("k_proj", 16)])
def test_four_parts_of_q_v_and_k(name: str, first: int) -> None:
    config = read_config(CodeGenConfig, TINY)
    with torch.device("meta"):
        model = CodeGen(config)
    (rule,) = (rule for rule in WEIGHTS["hf"] if isinstance(rule, Split))
    fused = Dense(torch.arange(96.0)[:, None])
    out = rule.change(fused, f"model.layers.0.self_attn.{name}", model).decode().flatten()
    expected = [24 * part + first + row for part in range(4) for row in range(8)]
    assert out.tolist() == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_head": 2}, "num_attention_heads 2"),
        ({"rotary_dim": 9}, "rotary_dim"),
        ({"activation_function": "silu"}, "hidden_act"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(CodeGenConfig, {**TINY, **change})
