"""Mamba: layers of one mixer that keeps a state, and no attention; Falcon Mamba norms what the
state's sizes are computed from."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field
from tramontane.blocks import CausalLM, HeadNorm, LayerOf, Mamba, MixerLayer
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.checkpoint.state_rules import selective_rules
from tramontane.config import DecoderConfig

from .layers import BACKBONE, ENDLESS, without_attention


class MambaConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"layer_norm_epsilon": "rms_norm_eps"}
    absent: ClassVar[Mapping[str, Any]] = {
        **ENDLESS,
        "tie_word_embeddings": True,
    }
    hidden_act: Literal["silu"] = "silu"
    state_size: int = Field(default=16, gt=0, le=2**14)
    conv_kernel: int = Field(default=4, gt=1, le=64)
    expand: int = Field(default=2, gt=0, le=64)
    time_step_rank: int = Field(gt=0, le=2**20)
    use_bias: bool = False
    use_conv_bias: bool = True
    normalized: bool = False
    """Whether dt, B and C have norms, which GGUF files say."""
    mixer_rms_eps: float = Field(default=1e-6, gt=0, le=1)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        hidden = values.get("hidden_size")
        if values.get("time_step_rank", "auto") == "auto" and isinstance(hidden, int):
            values["time_step_rank"] = math.ceil(hidden / 16)
        without_attention(values, values.get("expand", 2))

    @property
    def rotary(self) -> bool:
        return False


class FalconMambaConfig(MambaConfig):
    normalized: bool = True


def layer(cfg: MambaConfig, index: int) -> MixerLayer:
    norm = partial(HeadNorm, eps=cfg.mixer_rms_eps, weighted=False)
    mixer = Mamba(
        cfg.hidden_size,
        index,
        inner=cfg.intermediate_size,
        state=cfg.state_size,
        rank=cfg.time_step_rank,
        width=cfg.conv_kernel,
        bias=cfg.use_bias,
        conv_bias=cfg.use_conv_bias,
        norm=norm if cfg.normalized else None,
    )
    return MixerLayer(cfg, mixer)


class MambaLM(CausalLM):
    Layer: ClassVar[LayerOf] = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("backbone.embedding", "model.embed_tokens"),
        *BACKBONE,
    ],
    "gguf": [Rename("*.input_layernorm", "*.norm"), *selective_rules("mixer")],
}


def metadata(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a GGUF file says of the mixers. Its one epsilon is that of all norms there."""
    words = {
        "conv_kernel": "conv_kernel",
        "state_size": "state_size",
        "time_step_rank": "time_step_rank",
        "dt_b_c_rms": "normalized",
        "inner_size": "intermediate_size",
    }
    found = {word: values.get(f"mamba.ssm.{key}") for key, word in words.items()}
    found |= {"mixer_rms_eps": config.get("rms_norm_eps"), "num_attention_heads": 1}
    return {word: value for word, value in found.items() if value is not None}
