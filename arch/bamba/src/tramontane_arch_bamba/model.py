"""Bamba: most layers are Mamba-2, a few are attention that rotates half of each head; each has a
gated feed-forward half."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from torch import nn
from tramontane.blocks import Attention, CausalLM, GatedMLP, Mamba2, PreNormLayer, rope_for
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.config import Mamba2Config


class BambaConfig(Mamba2Config):
    absent: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "max_position_embeddings": 262_144,
        "rms_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
    }
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    attn_layer_indices: tuple[int, ...] = ()
    attn_rotary_emb: int | None = None
    """What the first checkpoints say of `partial_rotary_factor`: numbers of a head that rotate."""

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        # beside rope_parameters it is not looked at
        values.pop("partial_rotary_factor", None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_heads(f"mamba_expand {self.mamba_expand} times hidden_size {self.hidden_size}")
        for index in self.attn_layer_indices:
            if not 0 <= index < self.num_hidden_layers:
                raise ValueError(
                    f"attn_layer_indices has {index}, and there are {self.num_hidden_layers} "
                    "layers, the first of which is 0"
                )
        turned = int(self.head_dim * self.partial_rotary_factor)
        if self.attn_rotary_emb not in (None, turned):
            raise ValueError(
                f"attn_rotary_emb {self.attn_rotary_emb} is not what rotates of head_dim "
                f"{self.head_dim}: partial_rotary_factor {self.partial_rotary_factor} is {turned}"
            )
        return self


def mixer(cfg: BambaConfig, index: int) -> nn.Module:
    if index not in cfg.attn_layer_indices:
        return Mamba2(cfg.hidden_size, index, **cfg.mixer())
    bias = cfg.attention_bias
    return Attention(cfg, index, rope=rope_for(cfg), bias=bias, out_bias=bias)


def layer(cfg: BambaConfig, index: int) -> PreNormLayer:
    return PreNormLayer(cfg, mixer(cfg, index), GatedMLP(cfg, bias=cfg.mlp_bias))


class Bamba(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("model.final_layernorm", "model.norm"),
        Rename("*.pre_ff_layernorm", "*.post_attention_layernorm"),
        Rename("*.mamba.*", "*.self_attn.*"),
        Rename("*.feed_forward.*", "*.mlp.*"),
    ]
}
