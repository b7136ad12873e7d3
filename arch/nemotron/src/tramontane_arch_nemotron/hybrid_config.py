"""Nemotron-H's config.json: which mixer each layer has, and sizes under the names of Mamba-2."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import Mamba2Config

LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""What `hybrid_override_pattern` says of each layer."""
WORDS = {"linear_attention": "mamba", "full_attention": "attention"}
"""How transformers writes the same."""


class NemotronHConfig(Mamba2Config):
    """Time steps are limited by time_step_limit alone, as in the code of the models' makers;
    transformers has time_step_min as a limit of prompts."""

    spellings: ClassVar[Mapping[str, str]] = {
        "layers_block_type": "layer_types",
        "attention_head_dim": "head_dim",
        "mlp_hidden_act": "hidden_act",
        "layer_norm_epsilon": "rms_norm_eps",
        "mamba_num_heads": "mamba_n_heads",
        "mamba_head_dim": "mamba_d_head",
        "ssm_state_size": "mamba_d_state",
        "n_groups": "mamba_n_groups",
        "conv_kernel": "mamba_d_conv",
        "use_conv_bias": "mamba_conv_bias",
        "expand": "mamba_expand",
        "mamba_dt_limit": "time_step_limit",
        "num_local_experts": "n_routed_experts",
        "shared_expert_intermediate_size": "moe_shared_expert_intermediate_size",
    }
    absent: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "mamba_d_state": 128,
        "mamba_n_groups": 8,
    }
    hidden_act: Literal["relu2"] = "relu2"
    mamba_hidden_act: Literal["silu", "swish"] = "silu"
    attention_bias: Literal[False] = False
    mlp_bias: bool = False
    use_bias: bool = False
    mamba_d_head: int = Field(default=64, gt=0, le=2**14)
    layer_types: tuple[Literal["mamba", "attention", "mlp", "moe"], ...]
    n_routed_experts: int = Field(default=8, gt=0)
    num_experts_per_tok: int = Field(default=2, gt=0)
    moe_intermediate_size: int = Field(default=7688, gt=0, le=2**22)
    moe_shared_expert_intermediate_size: int = Field(default=7688, gt=0, le=2**22)
    moe_latent_size: int | None = Field(default=None, gt=0, le=2**20)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        pattern, kinds = values.get("hybrid_override_pattern"), values.get("layer_types")
        if kinds is None and isinstance(pattern, str):
            kinds = [LETTERS.get(letter, letter) for letter in pattern]
        if kinds is None:
            kinds = ["mamba", "moe", "attention", "mlp"]
        if isinstance(kinds, (list, tuple)):
            kinds = tuple(WORDS.get(str(each), each) for each in kinds)
            values.setdefault("num_hidden_layers", len(kinds))
        values["layer_types"] = kinds

    @property
    def rotary(self) -> bool:
        return False

    @property
    def inner(self) -> int:
        return self.mamba_n_heads * self.mamba_d_head

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "mamba" in self.layer_types:
            self.check_heads(f"{self.inner}")
        return self

    def mixer(self) -> dict[str, Any]:
        return {**super().mixer(), "bias": self.use_bias}
