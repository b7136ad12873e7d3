"""A decoder in plain torch, for families that transformers has no class of, nor a like one.

Written from the equations alone, without anything of Tramontane: x + attention(norm(x)), then
x + W2 (silu(W1 norm(x)) * W3 norm(x)), with rotated halves or linear biases (Press et al. 2022).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.configuration_utils import PreTrainedConfig
from transformers.modeling_outputs import CausalLMOutputWithPast


class PlainConfig(PreTrainedConfig):
    """heads, kv_heads, wide: of each layer; None: the same in all. linear_biases: instead of
    rotation. layer_norm: with means and biases. power: of d_head, by which scores are scaled."""

    model_type = "plain"

    def __init__(self, **told: Any) -> None:
        defaults = {
            "heads": None, "kv_heads": None, "wide": None, "linear_biases": False,
            "layer_norm": False, "qk_norm": False, "bias": False, "power": -0.5, "theta": 10000.0,
            "token_scale": 1.0, "logit_scale": 1.0, "unit_head": False,
            "rms_norm_eps": 1e-6,
        }  # fmt: skip
        told = {**defaults, **told}
        layers, heads = told["num_hidden_layers"], told["num_attention_heads"]
        kv_heads = told.get("num_key_value_heads") or heads
        told["num_key_value_heads"] = kv_heads
        told["head_dim"] = told.get("head_dim") or told["hidden_size"] // heads
        told["heads"] = told["heads"] or [heads] * layers
        told["kv_heads"] = told["kv_heads"] or [kv_heads] * layers
        told["wide"] = told["wide"] or [told["intermediate_size"]] * layers
        for name, value in told.items():
            setattr(self, name, value)
        super().__init__(**told)


def slopes(heads: int) -> Tensor:
    """The paper's sequence; between powers of two, every second one of twice as many."""

    def powers(n: int) -> list[float]:
        return [2 ** (-8 * (i + 1) / n) for i in range(n)]

    whole = 2 ** (heads.bit_length() - 1)
    return torch.tensor(powers(whole) + powers(2 * whole)[::2][: heads - whole])


class Norm(nn.Module):
    def __init__(self, dim: int, cfg: Any, *, mean: bool) -> None:
        super().__init__()
        self.eps, self.weight = cfg.rms_norm_eps, nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if mean else None

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is not None:
            x = x - x.mean(-1, keepdim=True)
        x = self.weight * x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        return x if self.bias is None else x + self.bias


class Attention(nn.Module):
    def __init__(self, cfg: Any, index: int) -> None:
        super().__init__()
        self.cfg, self.index, d = cfg, index, cfg.head_dim
        heads, kv_heads, bias = cfg.heads[index], cfg.kv_heads[index], cfg.bias
        self.q_proj = nn.Linear(cfg.hidden_size, heads * d, bias=bias)
        self.k_proj = nn.Linear(cfg.hidden_size, kv_heads * d, bias=bias)
        self.v_proj = nn.Linear(cfg.hidden_size, kv_heads * d, bias=bias)
        self.o_proj = nn.Linear(heads * d, cfg.hidden_size, bias=bias)
        if cfg.qk_norm:
            self.q_norm, self.k_norm = (Norm(d, cfg, mean=False) for _ in "qk")

    def forward(self, x: Tensor, cache: DynamicCache) -> Tensor:
        cfg, (batch, length, _) = self.cfg, x.shape
        q, k, v = (p(x).view(batch, length, -1, cfg.head_dim).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))  # fmt: skip
        if cfg.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        past = cache.get_seq_length(self.index)
        if not cfg.linear_biases:
            places = torch.arange(past, past + length)
            q, k = turned(q, places, cfg.theta), turned(k, places, cfg.theta)
        k, v = cache.update(k, v, self.index)
        share = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        scores = q @ k.mT * cfg.head_dim**cfg.power
        back = torch.arange(k.shape[2]) - torch.arange(past, past + length)[:, None]
        if cfg.linear_biases:
            scores = scores + slopes(q.shape[1])[:, None, None] * back
        scores = scores.masked_fill(back > 0, float("-inf"))
        mixed: Tensor = scores.softmax(-1) @ v
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


def turned(x: Tensor, places: Tensor, theta: float) -> Tensor:
    half = x.shape[-1] // 2
    angles = places[:, None] * theta ** (-torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1)


class MLP(nn.Module):
    def __init__(self, cfg: Any, index: int) -> None:
        super().__init__()
        hidden, wide = cfg.hidden_size, cfg.wide[index]
        self.gate_proj = nn.Linear(hidden, wide, bias=cfg.bias)
        self.up_proj = nn.Linear(hidden, wide, bias=cfg.bias)
        self.down_proj = nn.Linear(wide, hidden, bias=cfg.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, cfg: Any, index: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(cfg.hidden_size, cfg, mean=cfg.layer_norm)
        self.self_attn = Attention(cfg, index)
        self.post_attention_layernorm = Norm(cfg.hidden_size, cfg, mean=cfg.layer_norm)
        self.mlp = MLP(cfg, index)

    def forward(self, x: Tensor, cache: DynamicCache) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cache)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Decoder(nn.Module):
    def __init__(self, cfg: Any) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(Layer(cfg, i) for i in range(cfg.num_hidden_layers))
        self.norm = Norm(cfg.hidden_size, cfg, mean=cfg.layer_norm)


class PlainForCausalLM(PreTrainedModel, GenerationMixin):
    """unit_head: rows of the head have the length 1, as those of Baichuan 2."""

    config_class = PlainConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.model = Decoder(cfg)
        self.lm_head = nn.Linear(cfg.hidden_size, cfg.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        past_key_values: Any = None,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        cfg: Any = self.config
        cache = DynamicCache() if past_key_values is None else past_key_values
        x = self.model.embed_tokens(input_ids) * cfg.token_scale
        for layer in self.model.layers:
            x = layer(x, cache)
        head = self.lm_head.weight
        head = head / head.norm(dim=1, keepdim=True) if cfg.unit_head else head
        logits = self.model.norm(x) @ head.T * cfg.logit_scale
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Any = None,
        attention_mask: Tensor | None = None,  # of one sequence alone, which has no padding
        **_: Any,
    ) -> dict[str, Any]:
        past = past_key_values.get_seq_length()
        return {"input_ids": input_ids[:, past:], "past_key_values": past_key_values}


AutoConfig.register("plain", PlainConfig)
AutoModelForCausalLM.register(PlainConfig, PlainForCausalLM)
