"""OLMoE: Llama's wiring with experts, and norms across all heads of q and k."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from tramontane.blocks import CausalLM, Experts, PreNormLayer, Router, SparseMoE, rope_for
from tramontane.checkpoint.rules import EXPERTS, Rule
from tramontane.config import DecoderConfig

from .attention import WIDE, OlmoAttention


class OlmoeConfig(DecoderConfig):
    spellings: ClassVar[Mapping[str, str]] = {"num_local_experts": "num_experts"}
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    clip_qkv: float | None = Field(default=None, gt=0)
    num_experts: int = Field(default=64, gt=0)
    num_experts_per_tok: int = Field(default=8, gt=0)
    norm_topk_prob: bool = False
    absent = MappingProxyType({"max_position_embeddings": 4096, "rms_norm_eps": 1e-5})


def layer(cfg: OlmoeConfig, index: int) -> PreNormLayer:
    rope, bias = rope_for(cfg), cfg.attention_bias
    attention = OlmoAttention(cfg, index, rope=rope, bias=bias, normed=True, clip=cfg.clip_qkv)
    count, used = cfg.num_experts, cfg.num_experts_per_tok
    gate = Router(cfg.hidden_size, count, used, normalize=cfg.norm_topk_prob)
    experts = Experts(cfg, count, cfg.intermediate_size)
    return PreNormLayer(cfg, attention, SparseMoE(gate, experts))


class Olmoe(CausalLM):
    Layer = staticmethod(layer)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        *WIDE,
        *EXPERTS,
    ],
    "gguf": WIDE,
}
