"""GPT-OSS: attention with sinks, in every second layer over a window, and experts with biases."""

import torch
from torch import nn
from tramontane.blocks import (
    Attention,
    CausalLM,
    ClampedSwiGLU,
    Experts,
    PreNormLayer,
    Router,
    SparseMoE,
    rope_for,
)

from .config import GptOssConfig


def layer(cfg: GptOssConfig, index: int) -> PreNormLayer:
    bias, count = cfg.attention_bias, cfg.num_local_experts
    attention = Attention(
        cfg, index, rope=rope_for(cfg), window=cfg.window(index), bias=bias, out_bias=bias
    )
    sinks = torch.empty(cfg.num_attention_heads)
    attention.sinks = nn.Parameter(sinks, requires_grad=False)
    gate = Router(cfg.hidden_size, count, cfg.num_experts_per_tok, normalize=True, bias=True)
    glu = ClampedSwiGLU(cfg.swiglu_limit, cfg.swiglu_alpha, shift=1.0)
    experts = Experts(cfg, count, cfg.intermediate_size, glu=glu, bias=True)
    return PreNormLayer(cfg, attention, SparseMoE(gate, experts))


class GptOss(CausalLM):
    Layer = staticmethod(layer)
