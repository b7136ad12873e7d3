"""A family's own checks of configurations stand beside those of all; they do not replace them."""

from __future__ import annotations

from typing import Any

import pytest
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import ConfigError
from tramontane_arch_falcon.hybrid import FalconH1Config
from tramontane_arch_granite.granite4 import Granite4Config
from tramontane_arch_lfm.model import LfmConfig
from tramontane_arch_qwen.hybrid import HybridConfig

TINY = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "mamba_n_heads": 4, "mamba_d_head": 16,
        "mamba_d_ssm": 64}  # fmt: skip
CLASSES = [FalconH1Config, Granite4Config, HybridConfig]


def validators(cls: type) -> set[str]:
    return {name for name in vars(cls).get("__pydantic_decorators__").model_validators}  # type: ignore[union-attr]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_check_is_lost(cls: type[DecoderConfig]) -> None:
    for base in cls.__mro__[1:]:
        if issubclass(base, DecoderConfig):
            for name in validators(base):
                assert getattr(cls, name).__qualname__ == getattr(base, name).__qualname__, name


@pytest.mark.parametrize(
    ("cls", "change", "said"),
    [
        (Granite4Config, {"layer_types": ["mamba"]}, "layer_types has 1 entries for 2 layers"),
        (HybridConfig, {"layer_types": ["full_attention"] * 3}, "layer_types has 3 entries for 2"),
        (HybridConfig, {"full_attention_interval": 0}, "full_attention_interval 0 is less than 1"),
        (LfmConfig, {"full_attn_idxs": [0, 2]}, "full_attn_idxs has 2, and there are 2 layers"),
        *[
            (cls, {"num_key_value_heads": 3, "layer_types": kinds}, "num_key_value_heads 3")
            for cls, kinds in (
                (FalconH1Config, None),
                (Granite4Config, ["mamba", "attention"]),
                (HybridConfig, ["linear_attention", "full_attention"]),
            )
        ],
    ],
)
def test_what_all_check(cls: Any, change: dict[str, object], said: str) -> None:
    told = {name: value for name, value in {**TINY, **change}.items() if value is not None}
    with pytest.raises(ConfigError, match=said):
        read_config(cls, told)
