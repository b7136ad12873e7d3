"""A whole decoder-only language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .embedding import Embedding
from .linear import Linear
from .norm import NormOf, rms_norm


class LayerOf(Protocol):
    """What makes a model's layers: a class, or a function."""

    def __call__(self, cfg: Any, index: int, /) -> nn.Module: ...


class Decoder(nn.Module):
    """The part of a checkpoint that is called "model": table, layers and last norm."""

    def __init__(self, cfg: DecoderConfig, layer: LayerOf, norm: NormOf) -> None:
        super().__init__()
        self.embed_tokens = Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(layer(cfg, index) for index in range(cfg.num_hidden_layers))
        self.norm: Any = norm(cfg)


class CausalLM(nn.Module):
    """Embed, layers, norm, project. A subclass names its Layer and bends `embed` or `logits`.

    Models are built on the meta device: nothing in a constructor may compute on weights.
    """

    Layer: ClassVar[LayerOf]
    """(cfg, index) -> a module called with (x, batch)."""
    Norm: ClassVar[NormOf] = staticmethod(rms_norm)
    """The norm behind the last layer."""
    head_bias: ClassVar[bool] = False

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.model = Decoder(cfg, type(self).Layer, type(self).Norm)
        self.lm_head = Linear(cfg.hidden_size, cfg.vocab_size, bias=self.head_bias, split=None)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        """tokens: (n) ids, of all sequences in a row -> logits (len(batch.wanted), vocabulary)."""
        x = self.embed(tokens, batch)
        for layer in self.model.layers:
            x = layer(x, batch)
        return self.logits(self.model.norm(x[batch.wanted]))

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], batch: Batch) -> Any:
        """The same in numbers that Python has: what the engine calls.

        Returns a numpy array (len(batch.wanted), vocabulary) of float32. It may be the model's own,
        which the next step writes over. A backend may put another in its place.
        """
        ids = torch.tensor(tokens, dtype=torch.int64, device=batch.cache.device)
        return self(ids, batch).float().cpu().numpy()

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        out: Tensor = self.model.embed_tokens(tokens)
        return out

    def logits(self, x: Tensor) -> Tensor:
        out: Tensor = self.lm_head(x)
        return out


class PositionedLM(CausalLM):
    """A model that adds a learned vector for each position to the token's, instead of rotating."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__(cfg)
        self.positions = Embedding(cfg.max_position_embeddings, cfg.hidden_size)

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        out: Tensor = super().embed(tokens, batch) + self.positions(batch.positions)
        return out
