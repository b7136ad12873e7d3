"""A complete decoder-only language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from tramontane.config import DecoderConfig
from tramontane.engine.batch import Batch

from .cross import cross_layers
from .embedding import Embedding
from .linear import Linear
from .norm import NormOf, rms_norm


class LayerOf(Protocol):
    """What builds a model's layers, a class or a function: (cfg, index of the layer) -> a module
    called with x (tokens, hidden) and batch, which returns (tokens, hidden)."""

    def __call__(self, cfg: Any, index: int, /) -> nn.Module: ...


class Decoder(nn.Module):
    """The part of a checkpoint that is called "model": embedding, layers and last norm."""

    def __init__(self, cfg: DecoderConfig, layer: LayerOf, norm: NormOf) -> None:
        super().__init__()
        self.embed_tokens = Embedding(cfg.known_tokens, cfg.hidden_size)
        self.layers = nn.ModuleList(layer(cfg, index) for index in range(cfg.num_hidden_layers))
        self.norm: Any = norm(cfg)


class CausalLM(nn.Module):
    """Embedding, layers, last norm, projection to logits. A subclass sets `Layer`, and overrides
    `embed` or `logits` where its family scales them.

    Tensors: model.embed_tokens (vocabulary, hidden), model.layers.N, model.norm (hidden), lm_head
    (vocabulary, hidden), which is the embedding where `tie_word_embeddings` is true. Models are
    built on the meta device: nothing in a constructor may compute on weights.
    """

    Layer: ClassVar[LayerOf]
    """See `LayerOf`. A function is wrapped: `Layer = staticmethod(function)`."""
    Norm: ClassVar[NormOf] = staticmethod(rms_norm)
    """(cfg) -> the norm behind the last layer, which does not follow from `norm=` of the layers:
    where that is not `rms_norm`, this is set too. A function is wrapped:
    `Norm = staticmethod(function)`."""
    head_bias: ClassVar[bool] = False
    """Whether lm_head has a bias, (vocabulary)."""
    mixes: Callable[[Any], bool] | None = None
    """Of adapters, whether a step may have rows with them beside others: see `Batch.adapters`.
    None: none may. A backend may set it."""
    crosses: bool = False
    """Whether every row of every step cross-attends, as in the decoder of a text's encoder:
    `batch.cross` is a `CrossRows` then, and recorded steps have it."""
    keeps_hidden: bool = False
    """Whether steps keep `hidden`; said before a backend prepares the model."""
    hidden: Any = None
    """(tokens, hidden), an array or a tensor: all rows of the last step behind the last layer, in
    front of the norm, which the next step may overwrite; None: they were not kept."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.model = Decoder(cfg, type(self).Layer, type(self).Norm)
        self.lm_head = Linear(cfg.hidden_size, cfg.vocab_size, bias=self.head_bias, split="column")

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        """tokens: (tokens) int64 ids, of all sequences one after the other -> logits
        (len(batch.wanted), vocabulary), of those tokens whose logits are needed."""
        x = self.embed(tokens, batch)
        if batch.media is not None:
            x = batch.media.put(x)
        for index, layer in enumerate(self.model.layers):
            x = layer(x, batch)
            if batch.media is not None:
                x = batch.media.add(x, index)
        if self.keeps_hidden:
            self.hidden = x * 1.0  # numbers of its own, whatever becomes of x
        return self.logits(self.model.norm(x[batch.wanted]))

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], batch: Batch) -> Any:
        """`forward` without tensors: what the engine calls.

        Returns a numpy array (len(batch.wanted), vocabulary) of float32. Its memory may belong to
        the model, which the next step overwrites. A backend may replace this method.
        """
        ids = torch.tensor(tokens, dtype=torch.int64, device=batch.cache.device)
        return self(ids, batch).float().cpu().numpy()

    @torch.inference_mode()
    def last_hidden(self, tokens: Sequence[int], batch: Batch) -> Any:
        """`step` up to the last norm, with no logits computed.

        Returns an array or a tensor (len(batch.wanted), hidden) of floats: what the norm gives. Its
        memory may belong to the model. A backend may replace this method.
        """
        ids = torch.tensor(tokens, dtype=torch.int64, device=batch.cache.device)
        end = self.model.norm.register_forward_hook(_stop)
        try:
            self(ids, batch)
        except _Stopped as stopped:
            return stopped.hidden
        finally:
            end.remove()
        raise RuntimeError(f"{type(self).__name__} computes logits without its last norm")

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        """tokens: (tokens) ids -> (tokens, hidden)."""
        out: Tensor = self.model.embed_tokens(tokens)
        return out

    def logits(self, x: Tensor) -> Tensor:
        """x: (rows, hidden), behind the last norm -> (rows, vocabulary)."""
        out: Tensor = self.lm_head(x)
        return out


class _Stopped(Exception):
    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


def _stop(module: nn.Module, given: Any, hidden: Tensor) -> None:
    raise _Stopped(hidden)


class PositionedLM(CausalLM):
    """A `CausalLM` that adds a learned vector of each position to the token's, instead of rotating.

    Tensor: positions (max_position_embeddings, hidden).
    """

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__(cfg)
        self.positions = Embedding(cfg.max_position_embeddings, cfg.hidden_size)

    def embed(self, tokens: Tensor, batch: Batch) -> Tensor:
        out: Tensor = super().embed(tokens, batch) + self.positions(batch.positions)
        return out


class MediaLM(CausalLM):
    """A `CausalLM` whose prompts may have images: rows (rows, hidden) that are not a token's
    embedding but what `encode` makes of an image. Its architecture's offer names a `media`
    processor."""

    levels: int = 0
    """Behind how many of the first layers rows of media are added to: what `encode` gives is
    hidden * (1 + levels) wide."""
    in_company: bool = False
    """Whether a step may have rows of media beside any others. A backend says so if its kernels
    compute such a row with the same bits in any company; else each step has those of one item."""

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        """Yields None wherever it may be interrupted, after each layer, say, and last the rows
        (`MediaItem.rows`, hidden * (1 + levels)): the first columns are the embeddings, the next
        are added to the rows behind layer 0, and so on. For layers with `CrossAttention` it is
        (`MediaItem.cross`, hidden). kind, arrays: of the `MediaItem`."""
        raise NotImplementedError

    def encoded(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        """The same with, in models that cross-attend, the rows' keys and values of each such layer
        in their place, (`MediaItem.cross`, 2 * kv_heads * d_head * layers)."""
        layers = cross_layers(self)
        for rows in self.encode(kind, arrays):
            if rows is None or not layers:
                yield rows
                continue
            parts = []
            for layer in layers.values():
                parts.append(layer.keys_and_values(rows))
                yield None
            yield torch.cat(parts, -1)
