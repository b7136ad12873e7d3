"""Nemotron-H's checkpoints: names of tensors, and what a GGUF file says of its layers."""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.rules import Rename, Rule, Skip, Stack
from tramontane.checkpoint.state_rules import ssm_fields, ssm_rules
from tramontane.config import DecoderConfig

HF: list[Rule] = [
    Skip("mtp.*"),
    Rename("backbone.*", "model.*"),
    Rename("model.embeddings", "model.embed_tokens"),
    Rename("model.norm_f", "model.norm"),
    Rename("*.gate.e_score_correction_bias", "*.gate.balance"),
    # as transformers 5 has them in memory and may save them
    Rename("*.experts.up_proj.weight", "*.experts.up_proj"),
    Rename("*.experts.down_proj.weight", "*.experts.down_proj"),
    Rename("*.experts.up_proj", "*.experts.up_proj.weight"),
    Rename("*.experts.down_proj", "*.experts.down_proj.weight"),
    *(Stack(f"*.experts.{{}}.{name}_proj") for name in ("down", "up")),
]
GGUF: list[Rule] = [
    Rename("blk.*.exp_probs_b.bias", "model.layers.*.mixer.gate.balance"),
    Rename("blk.*.ffn_latent_down", "model.layers.*.mixer.fc1_latent_proj"),
    Rename("blk.*.ffn_latent_up", "model.layers.*.mixer.fc2_latent_proj"),
    Rename("*.input_layernorm", "*.norm"),
    Rename("*.self_attn.*", "*.mixer.*"),
    Rename("*.mlp.shared_expert.*", "*.mixer.shared_experts.*"),
    Rename("*.mlp.*", "*.mixer.*"),
    *ssm_rules("mixer"),
]


def weights(cfg: DecoderConfig) -> dict[str, list[Rule]]:
    # files may have a layer more, with attention and experts, that guesses further tokens
    ahead = [Skip(f"*.{cfg.num_hidden_layers + each}.*") for each in range(4)]
    return {"hf": HF, "gguf": [*ahead, *GGUF]}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file calls the sizes of Mamba layers, and which layer is what: those with heads
    of keys have attention, those with rows of a feed-forward half have it, others Mamba."""
    name = str(config.get("model_type"))
    layers = config.get("num_hidden_layers") or 0
    kv_heads, wide = (
        each[:layers] if isinstance(each, tuple) else (each,) * layers
        for each in (config.get("num_key_value_heads"), config.get("intermediate_size"))
    )  # fmt: skip
    half = "moe" if config.get("num_local_experts") else "mlp"
    heads, inner = (values.get(f"{name}.ssm.{key}") for key in ("time_step_rank", "inner_size"))
    found: dict[str, Any] = {
        "layer_types": tuple(
            "attention" if shared else half if rows else "mamba"
            for shared, rows in zip(kv_heads, wide, strict=True)
        ),
        "num_key_value_heads": max((each or 0 for each in kv_heads), default=0) or 1,
        "intermediate_size": max((each or 0 for each in wide), default=0) or 1,
        "attention_bias": False,
        "mlp_bias": False,
        "use_bias": False,
        "moe_latent_size": values.get(f"{name}.moe_latent_size"),
        **ssm_fields(values, name),
    }
    if isinstance(inner, int) and isinstance(heads, int):
        found["mamba_d_head"] = inner // max(1, heads)
    return found
