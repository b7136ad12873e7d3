"""Gemma 3n, text: several streams beside each other, of which the layers compute one (AltUp).

A layer guesses all streams from all, computes the active one, and corrects the others by how far
its guess was off. Beside attention goes a product of two thin matrices (LAuReL), and the first
layers let through only what is far above the mean of their gate. Keys and values are shared, and
tokens have vectors of their own in each layer, as in Gemma 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import GatedMLP, Linear, Rope, rms_norm
from tramontane.checkpoint.rules import TEXT_PART, Rename, Rule, Skip, Split
from tramontane.engine.batch import Batch

from .gemma3n_config import Gemma3nConfig
from .gemma4 import Gemma4, TokenVectors
from .gemma4_attention import attention
from .gemma4_weights import GGUF, OUTSIDE, shared
from .model import TANH

Streams = list[Tensor]
"""altup_num_inputs of them, (tokens, hidden) each."""


class SparseGate:
    """gelu(relu(gate - cutoff)) up, where the cutoff is so many deviations above gate's mean."""

    def __init__(self, deviations: float) -> None:
        self.deviations = deviations

    def __call__(self, gate: Tensor, up: Tensor) -> Tensor:
        mean = gate.mean(-1, keepdim=True)
        away = gate.var(-1, correction=0, keepdim=True).sqrt()
        return TANH(F.relu(gate - (mean + away * self.deviations))) * up


class AltUp(nn.Module):
    """What a layer's streams are before and after one of them is computed (Baykal et al. 2023)."""

    def __init__(self, cfg: Gemma3nConfig) -> None:
        super().__init__()
        self.count, self.active, hidden = (
            cfg.altup_num_inputs,
            cfg.altup_active_idx,
            cfg.hidden_size,
        )
        self.router_norm = rms_norm(cfg)
        self.modality_router = Linear(hidden, self.count)
        self.prediction_coefs = Linear(self.count, self.count**2)
        self.correction_coefs = Linear(self.count, self.count)
        self.correct_output_scale = nn.Parameter(torch.empty(hidden), requires_grad=False)

    def modes(self, x: Tensor) -> Tensor:
        """(tokens, hidden) -> (tokens, count)"""
        out: Tensor = self.modality_router(self.router_norm(x) * (1 / x.shape[-1])).tanh()
        return out

    def predict(self, streams: Streams) -> Streams:
        factors = self.prediction_coefs(self.modes(streams[self.active]))
        guessed = []
        for to, x in enumerate(streams):
            first = to * self.count
            for place, other in enumerate(streams, first):
                x = x + other * factors[:, place : place + 1]
            guessed.append(x)
        return guessed

    def correct(self, guessed: Streams, x: Tensor) -> Streams:
        """x: (tokens, hidden), what became of the active stream."""
        factors = self.correction_coefs(self.modes(x)) + 1.0
        news = x - guessed[self.active]
        return [guess + news * factors[:, index : index + 1] for index, guess in enumerate(guessed)]


class Laurel(nn.Module):
    """x + norm(right(left(x))), (tokens, hidden) -> (tokens, hidden)."""

    def __init__(self, cfg: Gemma3nConfig) -> None:
        super().__init__()
        self.linear_left = Linear(cfg.hidden_size, cfg.laurel_rank)
        self.linear_right = Linear(cfg.laurel_rank, cfg.hidden_size)
        self.post_laurel_norm = rms_norm(cfg)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.post_laurel_norm(self.linear_right(self.linear_left(x)))
        return out


class Gemma3nLayer(nn.Module):
    def __init__(self, cfg: Gemma3nConfig, index: int) -> None:
        super().__init__()
        base = cfg.rope_theta if cfg.window(index) is None else cfg.rope_local_base_freq
        far = cfg.deviations(index)
        self.altup, self.laurel = AltUp(cfg), Laurel(cfg)
        self.input_layernorm = rms_norm(cfg)
        self.self_attn = attention(cfg, index, Rope(cfg.head_dim, base))
        self.post_attention_layernorm = rms_norm(cfg)
        self.pre_feedforward_layernorm = rms_norm(cfg)
        self.mlp = GatedMLP(
            cfg, act=TANH, glu=None if far is None else SparseGate(far),
            wide=cfg.intermediate_size[index],
        )  # fmt: skip
        self.post_feedforward_layernorm = rms_norm(cfg)
        self.by_token = TokenVectors(cfg)
        self.scaled = cfg.altup_correct_scale

    def forward(self, streams: Streams, batch: Batch, own: Tensor) -> Streams:
        guessed = self.altup.predict(streams)
        x = guessed[self.altup.active]
        normal = self.input_layernorm(x)
        x = x + self.post_attention_layernorm(self.self_attn(normal, batch))
        x = (x + self.laurel(normal)) * 2**-0.5
        x = x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        streams = self.altup.correct(guessed, x)
        x = streams[self.altup.active]
        more = self.by_token.told(x * self.altup.correct_output_scale if self.scaled else x, own)
        return [streams[0], *(each + more for each in streams[1:])]


class Gemma3n(Gemma4):
    Layer = Gemma3nLayer  # type: ignore[assignment]

    def __init__(self, cfg: Gemma3nConfig) -> None:
        super().__init__(cfg)
        self.further = range(1, cfg.altup_num_inputs)
        for index in self.further:
            for name in ("spread", "gather"):
                setattr(self.model, f"{name}_{index}", Linear(cfg.hidden_size, cfg.hidden_size))

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x = self.embed(tokens, batch)
        if batch.media is not None:
            x = batch.media.put(x)
        streams = [x, *(self.like(x, f"spread_{index}", x) for index in self.further)]
        for layer, own in zip(self.model.layers, self.own_vectors(tokens, x), strict=True):
            streams = layer(streams, batch, own)
        x, *others = (each[batch.wanted] for each in streams)
        whole = x
        for index, other in zip(self.further, others, strict=True):
            whole = whole + self.like(x, f"gather_{index}", other)
        return self.logits(self.model.norm(whole * (1 / len(streams))))

    def like(self, x: Tensor, name: str, other: Tensor) -> Tensor:
        """A projection of another stream, as long as x; (tokens, hidden) all."""
        made: Tensor = getattr(self.model, name)(other)
        size = (x * x).mean(-1, keepdim=True).sqrt()
        return made * size / (made * made).mean(-1, keepdim=True).clamp(min=1e-5).sqrt()


NAMES = {
    "altup_router": "altup.modality_router",
    "altup_router_norm": "altup.router_norm",
    "altup_predict_coef": "altup.prediction_coefs",
    "altup_correct_coef": "altup.correction_coefs",
    "laurel_l": "laurel.linear_left",
    "laurel_r": "laurel.linear_right",
    "laurel_post_norm": "laurel.post_laurel_norm",
    **{theirs: ours for theirs, ours in GGUF.items() if not theirs.endswith(("_1", "_2"))},
}


def weights(cfg: Gemma3nConfig) -> dict[str, list[Rule]]:
    further = range(1, cfg.altup_num_inputs)
    own = shared(cfg)
    by_number = [
        Rename(f"model.altup_{theirs}.{index - 1}", f"model.{ours}_{index}")
        for theirs, ours in (("projections", "spread"), ("unembed_projections", "gather"))
        for index in further
    ]
    stacked: list[Rule] = [
        rule
        for theirs, ours in (("altup_proj", "spread"), ("altup_unembd_proj", "gather"))
        for rule in (
            Rename(theirs, f"model.{ours}"),
            Split(f"model.{ours}", tuple(f"{ours}_{index}" for index in further)),
        )
    ]
    return {
        "hf": [*TEXT_PART, Skip("*.rotary_emb"), *own, *by_number],
        "gguf": [
            Rename("*.post_attention_layernorm", "*.pre_feedforward_layernorm"),
            Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
            Rename("blk.*.altup_correct_scale.weight", "model.layers.*.altup.correct_output_scale"),
            *(
                Rename(f"blk.*.{theirs}", f"model.layers.*.{ours}")
                for theirs, ours in NAMES.items()
            ),
            *(Rename(theirs, f"model.{ours}") for theirs, ours in OUTSIDE.items()),
            *own,
            *stacked,
        ],
    }
