"""What hears in MiniCPM-o 2.6: Whisper's encoder, where a position sees its own second and those
before it, two matrices, and positions that are averaged."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import Linear
from tramontane.blocks.hearing import HearingConfig, HearingLayer, HearingTower
from tramontane.blocks.vision import Parts
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import LogMel

from .slices import Slices
from .vision import MiniCpmVision, MiniCpmVisionConfig

PER_SECOND = 50
"""Positions of the encoder."""
WHISPER: dict[str, Any] = {
    "d_model": 384, "encoder_ffn_dim": 1536, "encoder_layers": 4, "encoder_attention_heads": 6,
    "num_mel_bins": 80,
}  # fmt: skip
"""What missing keys of `audio_config` mean, by Whisper's own names, which newer ones go before."""


class MiniCpmOmniConfig(MiniCpmVisionConfig):
    """audio_pool_step: positions in a row. audio_chunk_length: seconds that see each other, -1:
    all."""

    init_audio: Literal[True] = True
    audio_config: HearingConfig = Field(default_factory=lambda: HearingConfig(**WHISPER))
    audio_pool_step: int = Field(default=2, gt=0, le=2**10, strict=True)
    audio_chunk_length: float = Field(default=1.0, ge=-1, le=3600)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        told = values.get("audio_config")
        if isinstance(told, Mapping):
            values["audio_config"] = {**WHISPER, **told}

    @property
    def chunk(self) -> int:
        """Positions that see each other; 0: all."""
        return max(int(self.audio_chunk_length * PER_SECOND), 0)


class ChunkedLayer(HearingLayer):
    """Positions see their own chunk of `chunk` and those before it; 0: all."""

    def __init__(self, cfg: HearingConfig, chunk: int) -> None:
        super().__init__(cfg)
        self.chunk = chunk

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Parts:
        if not self.chunk or len(q) <= self.chunk:
            return (yield from super().mix(q, k, v))
        found = []
        q, k, v = (each.transpose(0, 1)[None] for each in (q, k, v))
        for start in range(0, q.shape[2], self.chunk):
            end = start + self.chunk
            seen = q[:, :, start:end], k[:, :, :end], v[:, :, :end]
            found.append(F.scaled_dot_product_attention(*seen)[0])
            yield None
        return torch.cat(found, 1).transpose(0, 1).flatten(1)


class AudioProjection(nn.Module):
    """linear2(relu(linear1(x))), (positions, encoder's hidden) -> (positions, hidden)."""

    def __init__(self, seen: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = Linear(seen, hidden, bias=True)
        self.linear2 = Linear(hidden, hidden, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(F.relu(self.linear1(x)))
        return out


class MiniCpmOmni(MiniCpmVision):
    """Tensors: apm and audio_projection_layer beside those of what sees."""

    cfg: MiniCpmOmniConfig

    def __init__(self, cfg: MiniCpmOmniConfig) -> None:
        super().__init__(cfg)
        audio = cfg.audio_config
        self.apm = HearingTower(audio)
        layers = (ChunkedLayer(audio, cfg.chunk) for _ in range(audio.num_hidden_layers))
        self.apm.layers = nn.ModuleList(layers)
        self.audio_projection_layer = AudioProjection(audio.hidden_size, cfg.hidden_size)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        return self.hear(arrays) if kind == "audio" else super().encode(kind, arrays)

    def hear(self, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        """The pieces of a sound, each as long as it is -> None after each layer, and last (rows,
        hidden)."""
        pool, found = self.cfg.audio_pool_step, []
        for features in arrays["features"].split(arrays["frames"].tolist(), 1):
            for x in self.apm.steps(features, features.shape[1]):
                if x is not None:
                    rows = self.audio_projection_layer(x)
                    found.append(rows[: len(rows) // pool * pool].unflatten(0, (-1, pool)).mean(1))
                yield None
        yield torch.cat(found)


class OmniSlices(Slices):
    def __init__(self, cfg: MiniCpmOmniConfig, files: Mapping[str, Any]) -> None:
        super().__init__(cfg, files)
        self.beside = (OmniSounds(cfg, files, self.row),)


class OmniSounds(MediaProcessor):
    """A sound is heard in pieces of 30 seconds, the last of them as long as it is."""

    kind = "audio"
    mark = "(<audio>./</audio>)"

    def __init__(self, cfg: MiniCpmOmniConfig, files: Mapping[str, Any], row: str) -> None:
        audio, self.row, self.pool = cfg.audio_config, row, cfg.audio_pool_step
        told = settings_of(files, "feature_extractor")
        self.features = LogMel.of(told, audio.num_mel_bins, audio.frames)
        self.rate = self.features.mel.rate
        self.samples = audio.frames * self.features.hop

    def prepare(self, samples: Samples) -> MediaItem:
        pieces, lengths = [], []
        for start in range(0, len(samples), self.samples):
            piece = samples[start : start + self.samples]
            frames = -(-len(piece) // self.features.hop)
            if self.rows(frames):
                padded = np.pad(piece, (0, self.samples - len(piece)))
                pieces.append(self.features(padded)[:, :frames])
                lengths.append(frames)
        if not pieces:
            least = (2 * self.pool - 2) * self.features.hop + 1
            raise ValueError(
                f"a sound of {len(samples)} samples is too short to be heard: this model takes at "
                f"least {least}, at {self.rate} a second"
            )
        arrays = {"features": np.concatenate(pieces, 1), "frames": np.array(lengths)}
        return MediaItem("audio", arrays, sum(map(self.rows, lengths)))

    def rows(self, frames: int) -> int:
        """Of a piece of so many frames."""
        return (frames + 1) // 2 // self.pool

    def written(self, item: MediaItem) -> str:
        return f"<|audio_start|>{self.row * item.rows}<|audio_end|>"
