"""Zamba2's configuration. transformers has time_step_min as a limit of prompts, and not of single
tokens; Zyphra's own code has no limit, and so here is none."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from tramontane.config import Mamba2Config

SHARED = "hybrid"
OF_54_LAYERS = (6, 12, 18, 24, 30, 36, 42, 47, 51)
"""Which layers of 54 are hybrid where `layers_block_type` does not say."""


class Zamba2Config(Mamba2Config):
    """head_dim is of what shared blocks see, two vectors beside each other."""

    spellings: ClassVar[Mapping[str, str]] = {
        "layers_block_type": "layer_types",
        "n_mamba_heads": "mamba_n_heads",
        "mamba_ngroups": "mamba_n_groups",
        "mamba_headdim": "mamba_d_head",
        "attention_head_dim": "head_dim",
    }
    absent: ClassVar[Mapping[str, Any]] = {
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "mamba_n_heads": 8,
        "mamba_d_state": 64,
    }
    hidden_act: Literal["gelu"] = "gelu"
    layer_types: tuple[Literal["linear_attention", "hybrid"], ...]
    tie_word_embeddings: Literal[True] = True
    """Without, transformers ties no shared block either: each layer has one of its own."""
    add_bias_linear: bool = False
    num_mem_blocks: int = Field(default=1, gt=0, le=4096)
    use_shared_attention_adapter: bool = False
    adapter_rank: int = Field(default=128, gt=0, le=2**16)
    use_mem_rope: bool = False
    use_long_context: bool = False

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        hidden, heads = values.get("hidden_size"), values.get("num_attention_heads")
        if isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
            if 2 * hidden % heads:
                raise ValueError(
                    f"twice hidden_size {hidden} is no multiple of num_attention_heads {heads}"
                )
            values.setdefault("head_dim", 2 * hidden // heads)
        if isinstance(hidden, int):
            values.setdefault("intermediate_size", 4 * hidden)
        if values.get("use_long_context") is True:
            values["max_position_embeddings"] = 16_384
        values["mamba_proj_bias"] = values.get("add_bias_linear", False)
        values["mamba_conv_bias"] = True
        if isinstance(kinds := values.get("layer_types"), (list, tuple)):
            older = {"mamba": "linear_attention"}
            values["layer_types"] = [older.get(str(kind), kind) for kind in kinds]
        elif values.get("num_hidden_layers") == 54:
            values["layer_types"] = [
                SHARED if index in OF_54_LAYERS else "linear_attention" for index in range(54)
            ]

    @property
    def rotary(self) -> bool:
        return self.use_mem_rope

    @property
    def hybrid(self) -> list[int]:
        """The layers that go through a shared block."""
        return [index for index, kind in enumerate(self.layer_types) if kind == SHARED]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_heads(f"mamba_expand {self.mamba_expand} times hidden_size {self.hidden_size}")
        if self.head_dim * self.num_attention_heads != 2 * self.hidden_size:
            raise ValueError(
                f"attention_head_dim {self.head_dim} times num_attention_heads "
                f"{self.num_attention_heads} is not twice hidden_size {self.hidden_size}"
            )
        return self
