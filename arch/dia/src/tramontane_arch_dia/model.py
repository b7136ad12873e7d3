"""Dia (Nari Labs 2025): an encoder of bytes, and a decoder whose steps are frames of codes, one in
each channel, which attends to the text in every layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from tramontane import reference
from tramontane.blocks import (
    Attention,
    CrossAttention,
    Embedding,
    GatedMLP,
    Linear,
    MediaLM,
    RMSNorm,
    Rope,
    rms_norm,
    rope_for,
)
from tramontane.blocks.task_model import TaskModel
from tramontane.blocks.vision import EncoderLayer, PackedAttention, Parts, turned
from tramontane.checkpoint.rules import Rename, Rule, Split
from tramontane.engine.batch import Batch
from tramontane.engine.cross_rows import item_bytes
from tramontane.engine.kv_cache import bytes_per_token

from .config import DiaConfig, EncoderConfig

WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("logits_dense", "decoder.lm_head"),
        Rename("model.encoder.*", "encoder.*"),
        Rename("model.decoder.embeddings.embed", "decoder.model.embed_tokens"),
        Rename("model.decoder.*", "decoder.model.*"),
        Split("*.mlp.gate_up_proj", ("gate_proj", "up_proj")),
    ]
}


CODEC_BYTES = 1 << 30
"""DAC's weights, 300 MB, and what decoding a window of frames takes."""


class EncoderAttention(nn.Module):
    """The matrices of full attention of bytes. Tensors: q_proj, k_proj, v_proj (heads * d_head,
    hidden), o_proj (hidden, heads * d_head)."""

    def __init__(self, cfg: EncoderConfig) -> None:
        super().__init__()
        wide = cfg.num_attention_heads * cfg.head_dim
        self.q_proj = Linear(cfg.hidden_size, wide)
        self.k_proj = Linear(cfg.hidden_size, wide)
        self.v_proj = Linear(cfg.hidden_size, wide)
        self.o_proj = Linear(wide, cfg.hidden_size)
        self.mix = PackedAttention()


class TextLayer(EncoderLayer):
    """x + attention(norm(x)), then x + mlp(norm(x)), (bytes, hidden) -> the same. Tensors:
    pre_sa_norm, self_attention, post_sa_norm, mlp."""

    def __init__(self, cfg: EncoderConfig) -> None:
        super().__init__()
        self.heads = cfg.num_attention_heads
        self.pre_sa_norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)
        self.self_attention = EncoderAttention(cfg)
        self.post_sa_norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)
        self.mlp = GatedMLP(cfg)  # type: ignore[arg-type]

    def begin(self, x: Tensor) -> tuple[Tensor, ...]:
        x, of = self.pre_sa_norm(x), self.self_attention
        return of.q_proj(x), of.k_proj(x), of.v_proj(x)

    def mix(self, q: Tensor, k: Tensor, v: Tensor, angles: tuple[Tensor, Tensor]) -> Parts:
        q, k = turned(q, angles) * q.shape[2] ** 0.5, turned(k, angles)  # scores are not scaled
        return self.self_attention.mix.parts(q, k, v, [len(q)])

    def end(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.self_attention.o_proj(mixed)
        out: Tensor = x + self.mlp(self.post_sa_norm(x))
        return out


class TextEncoder(nn.Module):
    """(bytes) -> (bytes, hidden). Tensors: embedding (256, hidden), layers.N, norm (hidden)."""

    def __init__(self, cfg: EncoderConfig) -> None:
        super().__init__()
        self.embedding = Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(TextLayer(cfg) for _ in range(cfg.num_hidden_layers))
        self.norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)
        self.rope = Rope(cfg.head_dim, cfg.rope_theta)

    def parts(self, text: Tensor) -> Parts:
        """text: (bytes) int64 -> (bytes, hidden), with places where it may be interrupted."""
        x = self.embedding(text)
        places = torch.arange(len(text), device=text.device)
        angles = self.rope.angles(places, places)
        for layer in self.layers:
            x = yield from layer.parts(x, angles)  # type: ignore[operator]
            yield None
        out: Tensor = self.norm(x)
        return out


class TextAttention(CrossAttention):
    """Attention of frames to what the encoder made of the text, (frames, hidden) -> the same.

    Tensors: q_proj, o_proj, and k_proj, v_proj (kv_heads * d_head, hidden of the encoder).
    """

    def __init__(self, cfg: DiaConfig, layer: int) -> None:
        nn.Module.__init__(self)
        heads, d_head = cfg.cross_num_attention_heads, cfg.cross_head_dim
        self.layer, self.d_head, self.shared_heads = layer, d_head, cfg.cross_num_key_value_heads
        self.scale = 1.0
        self.q_proj = Linear(cfg.hidden_size, heads * d_head)
        self.k_proj = Linear(cfg.cross_hidden_size, self.shared_heads * d_head)
        self.v_proj = Linear(cfg.cross_hidden_size, self.shared_heads * d_head)
        self.o_proj = Linear(heads * d_head, cfg.hidden_size)
        self.q_norm = self.k_norm = None
        self.kernel = reference.attention


class FrameLayer(nn.Module):
    """A layer of the decoder, (frames, hidden) -> the same. Tensors: pre_sa_norm, self_attention,
    pre_ca_norm, cross_attention, pre_mlp_norm, mlp."""

    def __init__(self, cfg: DiaConfig, index: int) -> None:
        super().__init__()
        self.pre_sa_norm = rms_norm(cfg)
        self.self_attention = Attention(cfg, index, rope=rope_for(cfg), scale=1.0)
        self.pre_ca_norm = rms_norm(cfg)
        self.cross_attention = TextAttention(cfg, index)
        self.pre_mlp_norm = rms_norm(cfg)
        self.mlp = GatedMLP(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = x + self.self_attention(self.pre_sa_norm(x), batch)
        x = x + self.cross_attention(self.pre_ca_norm(x), batch)
        out: Tensor = x + self.mlp(self.pre_mlp_norm(x))
        return out


class Frames(MediaLM):
    """The decoder. Its tokens are codes: code c of channel i is token i * codes + c. A row of a
    step is a frame: the sum of its codes' vectors, which `vectors` gives, stands for the embedding.
    Every row cross-attends to a text. Logits are those of all channels, one after the other.
    """

    Layer = FrameLayer
    crosses = True

    def vectors(self, codes: Tensor) -> Tensor:
        """codes: (frames, channels) int64 -> (frames, hidden)."""
        count, channels = codes.shape
        first = torch.arange(channels, device=codes.device) * (self.cfg.vocab_size // channels)
        found = self.model.embed_tokens((codes + first).flatten())
        out: Tensor = found.unflatten(0, (count, channels)).sum(1)
        return out


class Dia(TaskModel):
    """Tensors: encoder, decoder.model, decoder.lm_head."""

    cfg: DiaConfig

    def __init__(self, cfg: DiaConfig) -> None:
        super().__init__(cfg)
        self.encoder = TextEncoder(cfg.encoder_config)
        self.decoder = Frames(cfg)

    @property
    def working_bytes(self) -> int:
        """Keys and values of a longest speech and its text, twice, and the codec with what it
        takes for a window."""
        dtype = self.decoder.model.embed_tokens.dtype
        cached = bytes_per_token(self.decoder, dtype) * self.cfg.max_position_embeddings
        texts = item_bytes(self.decoder, dtype) * self.cfg.encoder_config.max_position_embeddings
        return 2 * cached + texts + CODEC_BYTES


def text_ids(text: str) -> Sequence[int]:
    """What the encoder reads: UTF-8 bytes, with the speakers' tags as one each."""
    data = text.encode()
    return list(data.replace(b"[S1]", b"\x01").replace(b"[S2]", b"\x02"))
