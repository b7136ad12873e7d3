"""The one expert with the best score, of the input times that score's sigmoid."""

from __future__ import annotations

import pytest
import torch
from tramontane.blocks import Experts, Router, WeighedInputMoE
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import ConfigError

SIZES = {"vocab_size": 8, "hidden_size": 6, "intermediate_size": 5, "num_hidden_layers": 1,
         "num_attention_heads": 1}  # fmt: skip


def test_weighed_input() -> None:
    torch.manual_seed(3)
    cfg = read_config(DecoderConfig, SIZES)
    moe = WeighedInputMoE(Router(6, 3, 1, normalize=True), Experts(cfg, 3, 5))
    for part in (moe.gate, *moe.experts.children()):
        part.weight.data.normal_()
    x = torch.randn(7, 6)
    scores = x @ moe.gate.weight.data.T
    gate, up, down = (
        getattr(moe.experts, f"{name}_proj").weight.data.unflatten(0, (3, -1))
        for name in ("gate", "up", "down")
    )
    for row, out in zip(range(7), moe(x), strict=True):
        best = int(scores[row].argmax())
        weighed = x[row] * torch.sigmoid(scores[row, best])
        half = torch.nn.functional.silu(gate[best] @ weighed) * (up[best] @ weighed)
        torch.testing.assert_close(out, down[best] @ half)


def test_more_than_one_expert_is_refused() -> None:
    cfg = read_config(DecoderConfig, SIZES)
    with pytest.raises(ConfigError, match="num_experts_per_tok 2"):
        WeighedInputMoE(Router(6, 3, 2, normalize=True), Experts(cfg, 3, 5))
