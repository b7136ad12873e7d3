"""Voxtral: Whisper's encoder, whose positions go four at a time through two matrices to be rows of
Llama's."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import ACTIVATIONS, Gelu, Linear, MediaLM
from tramontane.blocks.hearing import HearingConfig, HearingTower
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import LogMel

from .model import Llama, LlamaConfig

TEMPLATE = """\
{{- bos_token }}{%- for message in messages %}
{%- if message.content is string %}{%- set text = message.content %}
{%- else %}{%- set text %}{%- for part in message.content %}
{%- if part.type == 'audio' %}{{- '[BEGIN_AUDIO][AUDIO]' }}
{%- elif part.type == 'text' %}{{- part.text }}
{%- else %}{{- raise_exception('Voxtral takes texts and sounds, not ' + part.type) }}{%- endif %}
{%- endfor %}{%- endset %}{%- endif %}
{%- if message.role == 'system' %}{{- '[SYSTEM_PROMPT]' + text + '[/SYSTEM_PROMPT]' }}
{%- elif message.role == 'user' %}{{- '[INST]' + text + '[/INST]' }}
{%- elif message.role == 'assistant' %}{{- text + eos_token }}
{%- else %}{{- raise_exception('Voxtral knows no role ' + message.role) }}{%- endif %}
{%- endfor %}"""
"""Published checkpoints have none: they are made for a library that needs none. It writes what that
does."""


class VoxtralConfig(LlamaConfig):
    """model_type: the language model's."""

    model_type: Literal["llama"] = "llama"
    tie_word_embeddings: Literal[False] = False
    audio_config: HearingConfig = Field(default_factory=HearingConfig)
    projector_hidden_act: Gelu = "gelu"
    absent = MappingProxyType(
        {
            "vocab_size": 131_072,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 30,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e8,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        values["tie_word_embeddings"] = False  # whatever it says: the two are not tied
        if values.get("model_type") == "voxtral":  # nothing is said of the text's
            values["model_type"] = "llama"

    @property
    def rows(self) -> int:
        """Rows of one piece."""
        audio = self.audio_config
        return audio.max_source_positions * audio.hidden_size // audio.intermediate_size

    @model_validator(mode="after")
    def _fits(self) -> Self:
        audio = self.audio_config
        if audio.max_source_positions * audio.hidden_size % audio.intermediate_size:
            raise ValueError(
                f"audio_config: {audio.max_source_positions} positions of {audio.hidden_size} are "
                f"no multiple of intermediate_size {audio.intermediate_size}"
            )
        return self


class VoxtralProjector(nn.Module):
    """linear_2(act(linear_1(x))), (rows, intermediate of the encoder) -> (rows, hidden)."""

    def __init__(self, cfg: VoxtralConfig) -> None:
        super().__init__()
        self.act = ACTIVATIONS[cfg.projector_hidden_act]
        self.linear_1 = Linear(cfg.audio_config.intermediate_size, cfg.hidden_size)
        self.linear_2 = Linear(cfg.hidden_size, cfg.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_2(self.act(self.linear_1(x)))
        return out


class Voxtral(MediaLM, Llama):
    cfg: VoxtralConfig

    def __init__(self, cfg: VoxtralConfig) -> None:
        super().__init__(cfg)
        self.audio_tower = HearingTower(cfg.audio_config)
        self.multi_modal_projector = VoxtralProjector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        pieces = []
        for features in arrays["features"]:
            for x in self.audio_tower.steps(features, features.shape[1]):
                if x is None:
                    yield None
                else:
                    wide = x.reshape(-1, self.cfg.audio_config.intermediate_size)
                    pieces.append(self.multi_modal_projector(wide))
        yield torch.cat(pieces)


WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Skip("*.rotary_emb"),
        Rename("model.audio_tower.*", "audio_tower.*"),
        Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
        Rename("model.language_model.*", "model.*"),
        Rename("language_model.*", "*"),
    ]
}


class VoxtralSounds(MediaProcessor):
    """A sound is padded with silence to whole pieces, which are heard one by one."""

    kind = "audio"
    mark = row = "[AUDIO]"
    template = TEMPLATE

    def __init__(self, cfg: VoxtralConfig, files: Mapping[str, Any]) -> None:
        audio = cfg.audio_config
        told = settings_of(files, "feature_extractor")
        self.features = LogMel.of(told, audio.num_mel_bins, audio.frames)
        self.rate = self.features.mel.rate
        self.frames, self.rows = audio.frames, cfg.rows

    def prepare(self, samples: Samples) -> MediaItem:
        padded = np.pad(samples, (0, -len(samples) % (self.frames * self.features.hop)))
        whole = self.features(padded)
        pieces = whole.reshape(len(whole), -1, self.frames).transpose(1, 0, 2)
        arrays = {"features": np.ascontiguousarray(pieces)}
        return MediaItem("audio", arrays, len(pieces) * self.rows)
