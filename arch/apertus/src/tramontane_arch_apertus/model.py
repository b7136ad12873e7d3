"""Apertus: Llama with xIELU (Huang and Schlag 2024), and no gate, in its feed-forward half, and
norms of each head of q and k."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn
from tramontane.blocks import MLP, Attention, CausalLM, PreNormLayer, RMSNorm, rope_for
from tramontane.checkpoint.rules import Kept, Rename, Rule, Skip
from tramontane.config import DecoderConfig
from tramontane.layouts import Dense, Layout

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 12_000_000.0,
    "factor": 8.0,
    "original_max_position_embeddings": 8192,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
NUMBERS = ("xielu_alpha_p", "xielu_alpha_n", "xielu_beta")


class ApertusConfig(DecoderConfig):
    hidden_act: Literal["xielu"] = "xielu"
    attention_bias: bool = False
    xielu_alpha_p: tuple[float, ...] | None = None
    """What GGUF files have in place of tensors, a number for each layer; likewise the next two."""
    xielu_alpha_n: tuple[float, ...] | None = None
    xielu_beta: tuple[float, ...] | None = None
    absent = MappingProxyType(
        {"max_position_embeddings": 65_536, "rms_norm_eps": 1e-5, "rope_theta": 12_000_000.0}
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        from_gguf = NUMBERS[0] in values
        if not from_gguf and not values.keys() & {"rope_scaling", "rope_parameters"}:
            values.pop("rope_theta", None)  # as transformers has it
            values["rope_parameters"] = dict(LLAMA3)

    @model_validator(mode="after")
    def _has_a_number_for_each_layer(self) -> Self:
        told = [getattr(self, name) for name in NUMBERS]
        for name, values in zip(NUMBERS, told, strict=True):
            if any(each is not None for each in told) and (
                values is None or len(values) != self.num_hidden_layers
            ):
                count = "no" if values is None else len(values)
                raise ValueError(f"{name} has {count} entries for {self.num_hidden_layers} layers")
        return self

    def xielu(self, index: int) -> tuple[float, float, float] | None:
        """alpha_p, alpha_n and beta of a layer, where they are no tensors."""
        if self.xielu_alpha_p is None or self.xielu_alpha_n is None or self.xielu_beta is None:
            return None
        return self.xielu_alpha_p[index], self.xielu_alpha_n[index], self.xielu_beta[index]


class XIELU(nn.Module):
    """a x² + b x above zero, c (e^x - 1 - x) + b x below; a = softplus(alpha_p), b = beta, c = b +
    softplus(alpha_n), all of a layer. Any shape -> the same shape.

    numbers: alpha_p, alpha_n, beta; None: they are tensors, of one number each.
    """

    def __init__(self, numbers: tuple[float, float, float] | None) -> None:
        super().__init__()
        self.numbers = numbers
        if numbers is None:
            self.alpha_p = nn.Parameter(torch.empty(1), requires_grad=False)
            self.alpha_n = nn.Parameter(torch.empty(1), requires_grad=False)
            self.beta = nn.Parameter(torch.empty(1), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.numbers is None:
            alpha_p, alpha_n, beta = self.alpha_p, self.alpha_n, self.beta
        else:
            alpha_p, alpha_n, beta = torch.tensor(self.numbers, device="cpu").split(1)
        above, below = F.softplus(alpha_p).item(), (beta + F.softplus(alpha_n)).item()
        positive = torch.relu(x)
        negative = x - positive
        bent = above * positive.square() + below * (torch.exp(negative) - 1.0 - negative)
        return bent + beta.item() * x


def layer(cfg: ApertusConfig, index: int) -> PreNormLayer:
    bias = cfg.attention_bias
    norms = [RMSNorm(cfg.head_dim, cfg.rms_norm_eps) for _ in "qk"]
    attention = Attention(
        cfg,
        index,
        rope=rope_for(cfg),
        q_norm=norms[0],
        k_norm=norms[1],
        bias=bias,
        out_bias=bias,
    )
    return PreNormLayer(cfg, attention, MLP(cfg, act=XIELU(cfg.xielu(index)), bias=False))


class Apertus(CausalLM):
    Layer = staticmethod(layer)


def fields(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The activations' numbers of a GGUF file, a number for all layers as one for each."""
    layers, found = config.get("num_hidden_layers"), {}
    for name in NUMBERS:
        value = metadata.get(name.replace("_", ".", 1))  # not below the architecture's name
        if isinstance(value, float) and isinstance(layers, int):
            value = (value,) * layers
        if value is not None:
            found[name] = tuple(value)
    return found


@dataclass(frozen=True)
class OneNumber(Kept):
    """A number that checkpoints hold without a dimension, as a vector of one."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        return Dense(layout.decode().reshape(1))


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.mlp.act_fn.eps"),  # keeps gradients at zero apart
        Rename("*.mlp.act_fn.*", "*.mlp.act.*"),
        OneNumber("*.mlp.act.beta"),
        Rename("*.attention_layernorm", "*.input_layernorm"),
        Rename("*.feedforward_layernorm", "*.post_attention_layernorm"),
    ],
    # llama.cpp has them in the metadata; as tensors they are read as well
    "gguf": [Rename("blk.*.xielu.*", "model.layers.*.mlp.act.*")],
}
