"""Layers that guess one token further, as checkpoints have that were trained to predict several
tokens (DeepSeek-AI 2024): multi-token prediction, MTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .causal_lm import CausalLM
from .linear import Linear
from .norm import rms_norm

if TYPE_CHECKING:
    from tramontane.checkpoint.rules import Rule


class NextTokenHead(CausalLM):
    """Guesses the token behind the next, from the hidden state of a token and the next token:

    x = layer(eh_proj(enorm(embedding of the next token), hnorm(hidden state))); logits of norm(x).

    The hidden state is the model's, behind its last norm. To guess on, the head takes its own
    guess, and its own x, or norm(x), for the hidden state. Embedding and lm_head are the model's.
    Row i stands at the position of the token whose hidden state it has; `batch.media` has these.

    Tensors: enorm, hnorm, model.norm (hidden), eh_proj (hidden, 2 hidden), model.layers.0.
    """

    levels = 0
    normed: ClassVar[bool] = False
    """Whether its own hidden state is norm(x)."""
    keeps_hidden = True

    def __init__(self, cfg: DecoderConfig, layer: nn.Module) -> None:
        nn.Module.__init__(self)
        self.cfg = cfg
        self.model: Any = nn.Module()
        self.model.layers = nn.ModuleList([layer])
        self.model.norm = rms_norm(cfg)
        self.enorm, self.hnorm = rms_norm(cfg), rms_norm(cfg)
        self.eh_proj = Linear(2 * cfg.hidden_size, cfg.hidden_size)

    def attach(self, model: CausalLM) -> None:
        """Take the embedding and the projection to logits of a model."""
        self.model.embed_tokens, self.lm_head = model.model.embed_tokens, model.lm_head

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        embedded = self.embed(tokens, batch)
        assert batch.media is not None
        hidden = batch.media.put(embedded)
        x = self.eh_proj(torch.cat((self.enorm(embedded), self.hnorm(hidden)), -1))
        x = self.model.layers[0](x, batch)
        self.hidden = x * 1.0
        return self.logits(self.model.norm(x[batch.wanted]))


@dataclass(frozen=True)
class NextToken:
    """What an architecture's `next_token` gives. build: makes the head on the meta device. tensors:
    patterns of the head's tensors in a checkpoint, and weights: the rules that give them the head's
    paths, both by dialect."""

    build: Callable[[], NextTokenHead]
    tensors: Mapping[str, Sequence[str]]
    weights: Mapping[str, Sequence[Rule]]


def next_layer(
    cfg: DecoderConfig,
    layer: Callable[[], nn.Module],
    weights: Mapping[str, Sequence[Rule]],
    head: type[NextTokenHead] = NextTokenHead,
) -> NextToken:
    """The head that is the layer behind the last: `model.layers.N` or `blk.N`, N being
    `num_hidden_layers`. weights: the architecture's rules."""
    from tramontane.checkpoint.rules import Rename, Skip

    index = cfg.num_hidden_layers
    here, there = f"model.layers.{index}", f"blk.{index}"
    parts = ("enorm", "hnorm", "eh_proj")
    plain: list[Rule] = [
        *(Rename(f"{here}.{part}", part) for part in parts),
        Rename(f"{here}.shared_head.norm", "model.norm"),
        Skip(f"{here}.shared_head.head"),
        Skip(f"{here}.embed_tokens"),
        Rename(f"{here}.*", "model.layers.0.*"),
    ]
    gguf: list[Rule] = [
        *(Rename(f"{there}.nextn.{part}", part) for part in parts),
        Rename(f"{there}.nextn.shared_head_norm", "model.norm"),
        Skip(f"{there}.nextn.shared_head_head"),
        Skip(f"{there}.nextn.embed_tokens"),
        Rename(f"{there}.*", "blk.0.*"),
        Rename(f"{here}.*", "model.layers.0.*"),
    ]
    return NextToken(
        build=lambda: head(cfg, layer()),
        tensors={"hf": (f"{here}.*",), "gguf": (f"{there}.*",)},
        weights={"hf": [*plain, *weights["hf"]], "gguf": [*gguf, *weights.get("gguf", ())]},
    )
