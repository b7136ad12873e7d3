"""What checkpoints of Kimi Linear call their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from tramontane.checkpoint.latent_rules import KeysAndValues
from tramontane.checkpoint.rules import EXPERTS, Flatten, Kept, Rename, Rule, Skip
from tramontane.checkpoint.state_rules import ssm_rules
from tramontane.layouts import Dense, Layout

from .config import KINDS, KimiLinearConfig


@dataclass(frozen=True)
class Channels(Kept):
    """A convolution's (1, channels, 1, width) as (channels, width)."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode().flatten(0, -2))


def weights(cfg: KimiLinearConfig) -> dict[str, list[Rule]]:
    depth = cfg.num_hidden_layers
    return {
        "hf": [
            # layers that guess further tokens
            *(Skip(f"model.layers.{depth + ahead}.*") for ahead in range(4)),
            Rename("*.block_sparse_moe.*", "*.mlp.*"),
            Rename("*.mlp.gate.e_score_correction_bias", "*.mlp.gate.balance"),
            Rename("*.experts.*.w1", "*.experts.*.gate_proj"),
            Rename("*.experts.*.w3", "*.experts.*.up_proj"),
            Rename("*.experts.*.w2", "*.experts.*.down_proj"),
            *EXPERTS,
            Rename("*.self_attn.forget_gate.*", "*.self_attn.*"),  # so transformers' modules
            KeysAndValues(),
            Flatten("*.self_attn.A_log"),
        ],
        "gguf": [
            *(Skip(f"*.{depth + ahead}.*") for ahead in range(4)),
            *ssm_rules("self_attn"),
            Rename("*.self_attn.in_proj_b", "*.self_attn.b_proj"),
            Rename("*.self_attn.norm", "*.self_attn.o_norm"),
            *(
                Rename(f"blk.*.ssm_{of}", f"model.layers.*.self_attn.{of}_proj")
                for of in ("f_a", "f_b", "g_a", "g_b")
            ),
            *(
                Rename(f"blk.*.ssm_conv1d_{of}", f"model.layers.*.self_attn.{of}_conv1d")
                for of in "qkv"
            ),
            Channels("*.self_attn.*_conv1d"),
            Rename("blk.*.exp_probs_b.bias", "model.layers.*.mlp.gate.balance"),
            Rename("*.mlp.shared_expert.*", "*.mlp.shared_experts.*"),
            KeysAndValues(),
        ],
    }


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of layers with a state: they have no heads of keys."""
    name, layers = config["model_type"], config.get("num_hidden_layers")
    told = config.get("num_key_value_heads")
    found: dict[str, Any] = {
        "num_key_value_heads": config.get("num_attention_heads"),
        "linear_num_heads": config.get("num_attention_heads"),
        "linear_head_dim": values.get(f"{name}.kda.head_dim"),
        "linear_conv_kernel_dim": values.get(f"{name}.ssm.conv_kernel"),
        "norm_topk_prob": True,
    }
    if isinstance(layers, int):
        each = told if isinstance(told, tuple) else (told,) * layers
        found["layer_types"] = tuple(KINDS[bool(count)] for count in each)
    return {field: value for field, value in found.items() if value is not None}
