"""Gemma 3n with sounds: a conformer's rows, 188 of every sound, and the vector of the token that
ends one."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM, RMSNorm
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.media.item import MediaItem
from tramontane.media.processor import MediaProcessor, Samples, settings_of
from tramontane.media.spectrogram import Mel, filters

from .gemma3n import Gemma3n
from .gemma3n import weights as text_weights
from .gemma3n_config import Gemma3nConfig
from .gemma3n_conformer import Conformer, ConformerConfig, Weight

MOST = 480_000
"""Samples of a sound that are heard."""
MULTIPLE = 128
"""A sound is padded to so many samples, or a multiple."""


class Gemma3nMediaConfig(Gemma3nConfig):
    """audio_config: None where a checkpoint has no encoder of sounds."""

    audio_config: ConformerConfig | None = None
    audio_soft_tokens_per_image: int = Field(default=188, gt=0, le=2**16, strict=True)
    eoa_token_id: int = Field(default=262_272, ge=0, le=2**24, strict=True)

    @property
    def beyond(self) -> tuple[int, int]:
        """Places in the encoder's vocabulary of what a short sound is filled with, and of the
        token that ends one."""
        offset = self.audio_config.vocab_offset if self.audio_config else 0
        return self.vocab_size - 1 - offset, self.eoa_token_id - offset

    @model_validator(mode="after")
    def _in_the_vocabulary(self) -> Self:
        audio = self.audio_config
        if audio is not None and not all(0 <= each < audio.vocab_size for each in self.beyond):
            raise ValueError(
                f"audio_config has tokens {audio.vocab_offset} to "
                f"{audio.vocab_offset + audio.vocab_size - 1}, not the last of the vocabulary, "
                f"{self.vocab_size - 1}, and eoa_token_id {self.eoa_token_id}"
            )
        return self


class Embedder(nn.Module):
    """The encoder's rows, or tokens of its own, as rows of the language model. Tensors: embedding
    (vocabulary, encoder's hidden), hard_embedding_norm, soft_embedding_norm, embedding_projection.
    """

    def __init__(self, cfg: ConformerConfig, hidden: int) -> None:
        super().__init__()
        self.eps = cfg.rms_norm_eps
        self.embedding = Weight(cfg.vocab_size, cfg.hidden_size)
        self.hard_embedding_norm = RMSNorm(cfg.hidden_size, self.eps)
        self.soft_embedding_norm = RMSNorm(cfg.hidden_size, self.eps)
        self.embedding_projection = Linear(cfg.hidden_size, hidden)

    def forward(self, normal: Tensor) -> Tensor:
        """normal: (rows, encoder's hidden), behind one of the norms -> (rows, hidden)."""
        rows: Tensor = self.embedding_projection(normal)
        return F.rms_norm(rows.float(), (rows.shape[-1],), None, self.eps).to(rows.dtype)

    def tokens(self, places: list[int]) -> Tensor:
        """Rows of tokens, by their places in the vocabulary."""
        rows: Tensor = self(self.hard_embedding_norm(self.embedding.weight[places]))
        return rows


class Gemma3nSounds(MediaLM, Gemma3n):
    cfg: Gemma3nMediaConfig

    def __init__(self, cfg: Gemma3nMediaConfig) -> None:
        super().__init__(cfg)
        if cfg.audio_config is not None:
            self.audio_tower = Conformer(cfg.audio_config)
            self.embed_audio = Embedder(cfg.audio_config, cfg.hidden_size)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        for x in self.audio_tower.steps(arrays["features"]):
            if x is None:
                yield None
            else:
                heard = self.embed_audio(self.embed_audio.soft_embedding_norm(x))
                filling, end = self.embed_audio.tokens(list(self.cfg.beyond))
                missing = self.cfg.audio_soft_tokens_per_image - len(heard)
                yield torch.cat((heard, filling.expand(missing, -1), end[None]))


def weights(cfg: Gemma3nMediaConfig) -> dict[str, list[Rule]]:
    """Without an encoder's configuration, its tensors are left out as those of images are."""
    found = text_weights(cfg)
    if cfg.audio_config is None:
        return found
    rest = [
        rule for rule in found["hf"] if not (isinstance(rule, Skip) and "audio" in rule.pattern)
    ]
    names = ("audio_tower", "embed_audio")
    return found | {"hf": [*(Rename(f"model.{name}.*", f"{name}.*") for name in names), *rest]}


class Spectrogram:
    """Logarithms of the sizes of frequencies in bands: (samples) -> (frames, bands). In numpy, with
    the bits of transformers' `Gemma3nAudioFeatureExtractor`."""

    DEFAULTS: Mapping[str, Any] = {
        "frame_length_ms": 32.0, "hop_length_ms": 10.0, "min_frequency": 125.0,
        "max_frequency": 7600.0, "preemphasis": 0.97, "mel_floor": 1e-5, "sampling_rate": 16_000,
    }  # fmt: skip
    FIXED: Mapping[str, Any] = {
        "preemphasis_htk_flavor": True, "dither": 0.0, "input_scale_factor": 1.0,
        "padding_value": 0.0, "per_bin_mean": None, "per_bin_stddev": None,
    }  # fmt: skip

    def __init__(self, told: Mapping[str, Any], bands: int) -> None:
        """Raises ValueError for settings that are not supported."""
        for name, fits in {**self.FIXED, "feature_size": bands}.items():
            if told.get(name, fits) != fits:
                raise ValueError(f"{name} {told[name]} is not supported, only {fits}")
        own = {name: told.get(name, value) for name, value in self.DEFAULTS.items()}
        self.rate = int(own["sampling_rate"])
        self.frame = round(self.rate * own["frame_length_ms"] / 1000.0)
        self.hop = round(self.rate * own["hop_length_ms"] / 1000.0)
        self.before, self.floor = own["preemphasis"], np.float64(own["mel_floor"])
        size = 1 << (self.frame - 1).bit_length()
        self.fft = size * 2 if told.get("fft_overdrive", True) else size
        places = np.arange(self.frame, dtype=np.float32)
        window = 0.5 * (1 - np.cos(2 * np.pi * places / self.frame))
        self.window = window.astype(np.float32)
        low, high = own["min_frequency"], own["max_frequency"]
        self.bands = filters(Mel(bands, self.rate, self.fft, low, high, "htk"))

    def __call__(self, samples: Samples) -> npt.NDArray[np.float32]:
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.frame + 1)[:: self.hop]
        first = frames[:, :1] * (1.0 - self.before)
        rest = frames[:, 1:-1] - self.before * frames[:, :-2]
        whole = np.concatenate([first, rest], axis=-1) * self.window
        sizes = np.abs(np.fft.rfft(whole, n=self.fft, axis=-1))
        logs = np.log(np.maximum(np.matmul(sizes, self.bands), self.floor))
        return np.asarray(logs, np.float32)


class SoundsOf3n(MediaProcessor):
    """A sound's first 30 seconds. The last of its rows is the token's that ends it, so that all
    that the language model's vocabulary lacks is the encoder's."""

    kind = "audio"
    mark = row = "<audio_soft_token>"

    def __init__(self, cfg: Gemma3nMediaConfig, audio: ConformerConfig, files: Any) -> None:
        self.spectrogram = Spectrogram(
            settings_of(files, "feature_extractor"), audio.input_feat_size
        )
        self.rate, self.rows = self.spectrogram.rate, cfg.audio_soft_tokens_per_image
        self.count = audio.rows

    def prepare(self, samples: Samples) -> MediaItem:
        heard = samples[:MOST]
        padded = np.pad(heard, (0, -len(heard) % MULTIPLE))
        least = self.spectrogram.frame + 1
        if len(padded) < least:
            raise ValueError(
                f"a sound of {len(samples)} samples is too short to be heard: this model takes at "
                f"least {least}, at {self.rate} a second"
            )
        features = self.spectrogram(padded)
        if self.count(len(features)) > self.rows:
            raise ValueError(
                f"a sound of {len(features)} frames has {self.count(len(features))} rows, more "
                f"than audio_soft_tokens_per_image {self.rows}"
            )
        return MediaItem("audio", {"features": features}, self.rows + 1)

    def written(self, item: MediaItem) -> str:
        return f"\n\n<start_of_audio>{self.row * item.rows}\n\n"


def processor(cfg: Gemma3nMediaConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """None where the checkpoint has no encoder of sounds."""
    return None if cfg.audio_config is None else SoundsOf3n(cfg, cfg.audio_config, files)
