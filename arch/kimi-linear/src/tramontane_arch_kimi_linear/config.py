"""Kimi Linear's settings."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import DecoderConfig

KINDS = ("linear_attention", "full_attention")


class KimiLinearConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {
        "num_experts": "n_routed_experts",
        "num_local_experts": "n_routed_experts",
        "num_experts_per_token": "num_experts_per_tok",
        "num_shared_experts": "n_shared_experts",
        "num_expert_group": "n_group",
        "moe_renormalize": "norm_topk_prob",
        "model_max_length": "max_position_embeddings",
    }
    absent: ClassVar[Mapping[str, Any]] = {
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 1_048_576,
    }
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mla_use_nope: Literal[True] = True
    q_lora_rank: int | None = Field(default=None, gt=0)
    kv_lora_rank: int = Field(default=512, gt=0)
    qk_nope_head_dim: int = Field(default=128, gt=0)
    qk_rope_head_dim: int = Field(default=64, gt=0)
    v_head_dim: int = Field(default=128, gt=0)
    layer_types: tuple[Literal["linear_attention", "full_attention"], ...]
    linear_head_dim: int = Field(default=128, gt=0, le=2**14)
    linear_num_heads: int = Field(default=32, gt=0, le=2**14)
    linear_conv_kernel_dim: int = Field(default=4, gt=1, le=64)
    mlp_layer_types: tuple[Literal["dense", "sparse"], ...]
    moe_layer_freq: Literal[1] = 1
    moe_router_activation_func: Literal["sigmoid"] = "sigmoid"
    expert_gating_func: Literal[2] = 2
    """What GGUF files call it."""
    moe_intermediate_size: int = Field(default=1024, gt=0)
    n_routed_experts: int = Field(default=256, gt=0)
    n_shared_experts: int = Field(default=1, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 2.446

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        layers, told = values.get("num_hidden_layers"), values.pop("linear_attn_config", {})
        if not isinstance(told, Mapping):
            raise ValueError(f"linear_attn_config={told!r:.60} should be an object")
        for word, field in (
            ("head_dim", "linear_head_dim"),
            ("num_heads", "linear_num_heads"),
            ("short_conv_kernel_size", "linear_conv_kernel_dim"),
        ):
            if told.get(word) is not None:
                values[field] = told[word]
        whole = values.get("key_length_mla")
        if isinstance(whole, int) and isinstance(values.get("qk_rope_head_dim"), int):
            values.setdefault("qk_nope_head_dim", whole - values["qk_rope_head_dim"])
        values["head_dim"] = values.get("qk_rope_head_dim", 64)  # another is said, and not used
        values["num_key_value_heads"] = values.get("num_attention_heads")
        if not isinstance(layers, int) or not 0 < layers <= 4096:
            return
        if "layer_types" not in values:
            values["layer_types"] = _kinds(told, layers)
        dense = values.get("first_k_dense_replace", 1)
        if not isinstance(dense, int) or dense < 0:
            raise ValueError(f"first_k_dense_replace {dense!r} is no number of layers")
        values.setdefault(
            "mlp_layer_types", tuple(("dense", "sparse")[i >= dense] for i in range(layers))
        )

    @property
    def rotary(self) -> bool:
        return False

    @model_validator(mode="after")
    def _each_layer_has_both(self) -> Self:
        if len(self.mlp_layer_types) != self.num_hidden_layers:
            raise ValueError(
                f"mlp_layer_types has {len(self.mlp_layer_types)} entries for "
                f"{self.num_hidden_layers} layers"
            )
        return self


def _kinds(told: Mapping[str, Any], layers: int) -> tuple[str, ...]:
    """Which layers attend; their numbers begin with 1 in a checkpoint."""
    if "full_attn_layers" not in told or "kda_layers" not in told:
        return tuple(KINDS[bool(index) and index % 4 == 0] for index in range(layers))
    kinds: dict[int, str] = {}
    for word, kind in (("full_attn_layers", KINDS[1]), ("kda_layers", KINDS[0])):
        if not isinstance(told[word], (list, tuple)):
            raise ValueError(f"linear_attn_config.{word}={told[word]!r:.60} should be a list")
        for number in told[word]:
            if number not in range(1, layers + 1) or number in kinds:
                raise ValueError(
                    f"linear_attn_config.{word} has {number!r}, which is no layer of {layers}, or "
                    "one that was named before"
                )
            kinds[number] = kind
    if missing := [number for number in range(1, layers + 1) if number not in kinds]:
        raise ValueError(f"linear_attn_config does not say what layer {missing[0]} is")
    return tuple(kinds[number] for number in range(1, layers + 1))
