"""CLIP's encoder of texts (Radford et al. 2021), of which FLUX.1 takes one vector for the whole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Embedding, LayerNorm, TaskModel
from tramontane.blocks.task_model import device_of
from tramontane.blocks.vision import Parts, Positions, VisionLayer, VisionLayers

from .config import ClipTextConfig

LEGACY_EOS = 2
"""What configurations of the first years say of the end, which is the largest id of a text then."""


class ClipTextLayer(VisionLayer):
    """A layer whose tokens see those before them."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Parts:  # type: ignore[override]
        yield None
        q, k, v = (each.transpose(0, 1)[None] for each in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = mixed[0].transpose(0, 1).flatten(1)
        return out


class TextEmbeddings(nn.Module):
    """Tokens with their positions. Tensors: token_embedding, position_embedding."""

    def __init__(self, cfg: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = Embedding(cfg.vocab_size, cfg.hidden_size)
        self.position_embedding = Positions(cfg.max_position_embeddings, cfg.hidden_size)

    def forward(self, ids: Tensor) -> Tensor:
        x: Tensor = self.token_embedding(ids)
        return x + self.position_embedding.weight[: len(ids)].to(x.dtype)


class ClipText(TaskModel):
    """Tensors: embeddings, encoder.layers.N, final_layer_norm."""

    cfg: ClipTextConfig

    def __init__(self, cfg: ClipTextConfig) -> None:
        super().__init__(cfg)
        self.embeddings = TextEmbeddings(cfg)
        self.encoder = VisionLayers(ClipTextLayer(cfg) for _ in range(cfg.num_hidden_layers))
        self.final_layer_norm = LayerNorm(cfg.hidden_size, cfg.layer_norm_eps)

    def parts(self, ids: Tensor) -> Parts:
        """ids: (tokens), with the end token -> the vector there, (1, hidden)."""
        end = self.cfg.eos_token_id
        # the first of the largest ids, or of those that are the end
        at = int((ids if end == LEGACY_EOS else (ids == end).int()).argmax())
        seen = ids[: at + 1].to(device_of(self))  # what comes later is not
        x: Tensor = self.embeddings(seen)
        for layer in self.encoder.layers:
            x = yield from layer.parts(x)
            yield None
        out: Tensor = self.final_layer_norm(x[at:])
        return out


def text_ids(ids: list[int], most: int) -> Tensor:
    """Token ids of at most `most`: of a longer text the first, and its end."""
    return torch.tensor(ids if len(ids) <= most else [*ids[: most - 1], ids[-1]])
