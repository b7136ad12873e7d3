"""A whole decoder-only language model."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .embedding import Embedding
from .linear import Linear
from .norm import RMSNorm


class Decoder(nn.Module):
    """The part of a checkpoint that is called "model": table, layers and last norm."""

    def __init__(self, cfg: DecoderConfig, layer: type[nn.Module]) -> None:
        super().__init__()
        self.embed_tokens = Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(layer(cfg, index) for index in range(cfg.num_hidden_layers))
        self.norm = RMSNorm(cfg.hidden_size, cfg.rms_norm_eps)


class CausalLM(nn.Module):
    """Embed, layers, norm, project. A subclass names its Layer and bends `embed` or `logits`.

    Models are built on the meta device: nothing in a constructor may compute on weights.
    """

    Layer: ClassVar[type[nn.Module]]
    """(cfg, index) -> a module called with (x, batch)."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.model = Decoder(cfg, type(self).Layer)
        self.lm_head = Linear(cfg.hidden_size, cfg.vocab_size, split=None)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        """tokens: (n) ids, of all sequences in a row -> logits (len(batch.wanted), vocabulary)."""
        x = self.embed(tokens)
        for layer in self.model.layers:
            x = layer(x, batch)
        return self.logits(self.model.norm(x[batch.wanted]))

    def embed(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.model.embed_tokens(tokens)
        return out

    def logits(self, x: Tensor) -> Tensor:
        out: Tensor = self.lm_head(x)
        return out
