"""Norms of heads that one weight and one bias serve, if there are any."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_persimmon.model import Persimmon, PersimmonConfig
from tramontane_arch_persimmon.plugin import TINY


@pytest.mark.parametrize("normed", [True, False])
def test_norms_of_heads(normed: bool) -> None:
    config = read_config(PersimmonConfig, {**TINY, "qk_layernorm": normed})
    with torch.device("meta"):
        layer: Any = Persimmon(config).model.layers[0]
    shapes = {name: tuple(p.shape) for name, p in layer.self_attn.named_parameters()}
    found = [shapes.get(f"{part}_norm.{kind}") for part in "qk" for kind in ("weight", "bias")]
    assert found == [(8,) if normed else None] * 4


def test_what_is_not_supported_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config(PersimmonConfig, {**TINY, "hidden_act": "silu"})
