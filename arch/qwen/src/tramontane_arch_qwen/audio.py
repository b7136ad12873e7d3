"""Qwen2-Audio: Whisper's encoder, of which two positions are averaged and go through a matrix to be
a row of Qwen2's."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM
from tramontane.blocks.hearing import HearingConfig, HearingTower
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import LogMel

from .model import Qwen2, Qwen2Config

POOL = 2
"""Positions of the encoder in a row."""


class Qwen2AudioConfig(Qwen2Config):
    tie_word_embeddings: Literal[False] = False
    audio_config: HearingConfig = Field(default_factory=HearingConfig)

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        values["tie_word_embeddings"] = False  # whatever it says: the two are not tied


class Projector(nn.Module):
    """Tensors: linear.weight (hidden, encoder's hidden), linear.bias."""

    def __init__(self, cfg: Qwen2AudioConfig) -> None:
        super().__init__()
        self.linear = Linear(cfg.audio_config.hidden_size, cfg.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out


class Qwen2Audio(MediaLM, Qwen2):
    def __init__(self, cfg: Qwen2AudioConfig) -> None:
        super().__init__(cfg)
        self.audio_tower = HearingTower(cfg.audio_config, pool=POOL)
        self.multi_modal_projector = Projector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        for x in self.audio_tower.steps(arrays["features"], int(arrays["frames"])):
            yield x if x is None else self.multi_modal_projector(x)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.audio_tower.*", "audio_tower.*"),
        Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
        Rename("model.language_model.*", "model.*"),
        Rename("language_model.*", "*"),
    ]
}


class Qwen2AudioSounds(MediaProcessor):
    """One piece is heard of a sound, its first 30 seconds, and of that as much as there is."""

    kind = "audio"
    mark = row = "<|AUDIO|>"

    def __init__(self, cfg: Qwen2AudioConfig, files: Mapping[str, Any]) -> None:
        audio = cfg.audio_config
        told = settings_of(files, "feature_extractor")
        self.features = LogMel.of(told, audio.num_mel_bins, audio.frames)
        self.rate = self.features.mel.rate
        self.samples = audio.frames * self.features.hop

    def prepare(self, samples: Samples) -> MediaItem:
        heard = samples[: self.samples]
        frames = -(-len(heard) // self.features.hop)
        rows = (frames + 1) // 2 // POOL
        if not rows:
            raise ValueError(
                f"a sound of {len(samples)} samples is too short to be heard: this model takes at "
                f"least {2 * self.features.hop + 1}, at {self.rate} a second"
            )
        features = self.features(np.pad(heard, (0, self.samples - len(heard))))
        return MediaItem("audio", {"features": features, "frames": np.array(frames)}, rows)
