"""The wirings that decoder layers of more than one family share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .norm import NormOf, rms_norm

if TYPE_CHECKING:
    from tramontane.config import DecoderConfig
    from tramontane.engine.batch import Batch


class PreNormLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); (tokens, hidden) -> (tokens, hidden).

    norm: (cfg) -> a norm over hidden, for both; the last one of the model is `CausalLM.Norm`.
    Tensors: input_layernorm, self_attn, post_attention_layernorm, mlp.
    """

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.post_attention_layernorm = norm(cfg)
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class MixerLayer(nn.Module):
    """x + mixer(norm(x)), a layer of one half alone; (tokens, hidden) -> (tokens, hidden). The
    mixer is called with x and batch. Tensors: norm, mixer."""

    def __init__(self, cfg: DecoderConfig, mixer: nn.Module) -> None:
        super().__init__()
        self.norm = rms_norm(cfg)
        self.mixer = mixer

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        out: Tensor = x + self.mixer(self.norm(x), batch)
        return out


class ScaledLayer(PreNormLayer):
    """x + gain * attention(norm(x)), then x + gain * mlp(norm(x)), as in Granite and MiniCPM;
    (tokens, hidden) -> (tokens, hidden). Tensors: as `PreNormLayer`."""

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, gain: float
    ) -> None:
        super().__init__(cfg, self_attn, mlp)
        self.gain = gain

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.gain * self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + self.gain * self.mlp(self.post_attention_layernorm(x))
        return out


class SandwichNormLayer(nn.Module):
    """A norm before and after each half, the residual outside: x + norm(attention(norm(x))), then
    the same with mlp; (tokens, hidden) -> (tokens, hidden).

    Tensors: as `PreNormLayer`, and pre_feedforward_layernorm, post_feedforward_layernorm.
    """

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.post_attention_layernorm = norm(cfg)
        self.pre_feedforward_layernorm = norm(cfg)
        self.mlp = mlp
        self.post_feedforward_layernorm = norm(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), batch))
        out = self.mlp(self.pre_feedforward_layernorm(x))
        return x + self.post_feedforward_layernorm(out)  # type: ignore[no-any-return]


class PostNormLayer(nn.Module):
    """A norm behind each half alone, the residual outside: x + norm(attention(x)), then the same
    with mlp, as in OLMo 2; (tokens, hidden) -> (tokens, hidden).

    Tensors: self_attn, post_attention_layernorm, mlp, post_feedforward_layernorm.
    """

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.self_attn = self_attn
        self.post_attention_layernorm = norm(cfg)
        self.mlp = mlp
        self.post_feedforward_layernorm = norm(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(x, batch))
        out: Tensor = x + self.post_feedforward_layernorm(self.mlp(x))
        return out


class ParallelLayer(nn.Module):
    """x + attention(n) + mlp(n) with n = norm(x) (Wang and Komatsuzaki 2021); (tokens, hidden) ->
    (tokens, hidden). norm: (cfg) -> a norm over hidden; the last one of the model is
    `CausalLM.Norm`. Tensors: input_layernorm, self_attn, mlp."""

    def __init__(
        self, cfg: DecoderConfig, self_attn: nn.Module, mlp: nn.Module, *, norm: NormOf = rms_norm
    ) -> None:
        super().__init__()
        self.input_layernorm = norm(cfg)
        self.self_attn = self_attn
        self.mlp = mlp

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        normal = self.input_layernorm(x)
        out: Tensor = x + self.self_attn(normal, batch) + self.mlp(normal)
        return out


class ParallelNormsLayer(PreNormLayer):
    """x + attention(norm(x)) + mlp(other norm(x)), as in GPT-NeoX; (tokens, hidden) -> (tokens,
    hidden). Tensors: as `PreNormLayer`."""

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mixed = self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = x + mixed + self.mlp(self.post_attention_layernorm(x))
        return out
