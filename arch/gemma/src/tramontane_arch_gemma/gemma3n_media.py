"""Gemma 3n with images and sounds: rows of two encoders, and the vectors of the tokens that end an
image and a sound, which their tables have and the language model's has not."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM, RMSNorm
from tramontane.checkpoint.rules import Rename, Rule, Skip
from tramontane.media.processor import MediaProcessor

from .gemma3n import Gemma3n
from .gemma3n import weights as text_weights
from .gemma3n_config import Gemma3nConfig
from .gemma3n_conformer import Conformer
from .gemma3n_sounds import SoundsOf3n
from .gemma3n_subsample import ConformerConfig, Weight
from .gemma3n_vision import ImagesOf3n, MobileNet, MobileNetConfig

PARTS = {"vision": ("vision_tower", "embed_vision"), "audio": ("audio_tower", "embed_audio")}


class Gemma3nMediaConfig(Gemma3nConfig):
    """vision_config, audio_config: None where a checkpoint has no such encoder."""

    vision_config: MobileNetConfig | None = None
    vision_soft_tokens_per_image: int = Field(default=256, gt=0, le=2**16, strict=True)
    eoi_token_id: int = Field(default=262_144, ge=0, le=2**24, strict=True)
    audio_config: ConformerConfig | None = None
    audio_soft_tokens_per_image: int = Field(default=188, gt=0, le=2**16, strict=True)
    eoa_token_id: int = Field(default=262_272, ge=0, le=2**24, strict=True)

    @property
    def beyond(self) -> tuple[int, int]:
        """Places in the vocabulary of the encoder of sounds: of what a short sound is filled with,
        and of the token that ends one."""
        offset = self.audio_config.vocab_offset if self.audio_config else 0
        return self.vocab_size - 1 - offset, self.eoa_token_id - offset

    @property
    def side(self) -> int:
        """Rows of an image in one direction."""
        return int(self.vision_soft_tokens_per_image**0.5)

    @model_validator(mode="after")
    def _in_the_vocabulary(self) -> Self:
        audio = self.audio_config
        if audio is not None and not all(0 <= each < audio.vocab_size for each in self.beyond):
            raise ValueError(
                f"audio_config has tokens {audio.vocab_offset} to "
                f"{audio.vocab_offset + audio.vocab_size - 1}, not the last of the vocabulary, "
                f"{self.vocab_size - 1}, and eoa_token_id {self.eoa_token_id}"
            )
        vision = self.vision_config
        if vision is None:
            return self
        first, behind = vision.vocab_offset, vision.vocab_offset + vision.vocab_size
        if not first <= self.eoi_token_id < behind:
            raise ValueError(
                f"vision_config has tokens {first} to {behind - 1}, not eoi_token_id "
                f"{self.eoi_token_id}"
            )
        places = vision.image_size // 16
        if self.side**2 != self.vision_soft_tokens_per_image or places % self.side:
            raise ValueError(
                f"vision_soft_tokens_per_image {self.vision_soft_tokens_per_image} does not "
                f"divide {places} x {places} places evenly"
            )
        return self


class Embedder(nn.Module):
    """The encoder's rows, or tokens of its own, as rows of the language model. Tensors: embedding
    (vocabulary, encoder's hidden), hard_embedding_norm, soft_embedding_norm, embedding_projection.
    """

    def __init__(self, cfg: ConformerConfig | MobileNetConfig, hidden: int) -> None:
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


class Gemma3nMedia(MediaLM, Gemma3n):
    cfg: Gemma3nMediaConfig

    def __init__(self, cfg: Gemma3nMediaConfig) -> None:
        super().__init__(cfg)
        if cfg.vision_config is not None:
            self.vision_tower = MobileNet(cfg.vision_config, cfg.side)
            self.embed_vision = Embedder(cfg.vision_config, cfg.hidden_size)
        if cfg.audio_config is not None:
            self.audio_tower = Conformer(cfg.audio_config)
            self.embed_audio = Embedder(cfg.audio_config, cfg.hidden_size)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        if kind == "image":
            yield from self.seen(arrays["pixels"])
        else:
            yield from self.heard(arrays["features"])

    def seen(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, height, width) -> the encoder's rows, and that of the token behind them."""
        vision = self.cfg.vision_config
        assert vision is not None
        x = yield from self.vision_tower.parts(pixels)
        yield None
        rows = self.embed_vision(self.embed_vision.soft_embedding_norm(x * vision.hidden_size**0.5))
        end = self.embed_vision.tokens([self.cfg.eoi_token_id - vision.vocab_offset])
        yield torch.cat((rows, end))

    def heard(self, features: Tensor) -> Iterator[Tensor | None]:
        """features: (frames, bands) -> the encoder's rows, as many more as there are missing, and
        that of the token behind them."""
        for x in self.audio_tower.steps(features):
            if x is None:
                yield None
            else:
                heard = self.embed_audio(self.embed_audio.soft_embedding_norm(x))
                filling, end = self.embed_audio.tokens(list(self.cfg.beyond))
                missing = self.cfg.audio_soft_tokens_per_image - len(heard)
                yield torch.cat((heard, filling.expand(missing, -1), end[None]))


def weights(cfg: Gemma3nMediaConfig) -> dict[str, list[Rule]]:
    """Tensors of an encoder without a configuration are left out, as in text."""
    found = text_weights(cfg)
    read = [
        name
        for kind, names in PARTS.items()
        if getattr(cfg, f"{kind}_config") is not None
        for name in names
    ]
    rest = [
        rule
        for rule in found["hf"]
        if not (isinstance(rule, Skip) and any(name in rule.pattern for name in read))
    ]
    own = [Rename(f"model.{name}.*", f"{name}.*") for name in read]
    timm = Rename("vision_tower.timm_model.*", "vision_tower.*")
    return found | {"hf": [*own, timm, *rest]}


def processor(cfg: Gemma3nMediaConfig, files: Mapping[str, Any]) -> MediaProcessor | None:
    """Of images, with that of sounds beside it, where the checkpoint has encoders of them."""
    found: list[MediaProcessor] = []
    if cfg.vision_config is not None:
        found.append(ImagesOf3n(cfg.vision_config, cfg.vision_soft_tokens_per_image, files))
    if cfg.audio_config is not None:
        found.append(SoundsOf3n(cfg.audio_config, cfg.audio_soft_tokens_per_image, files))
    if not found:
        return None
    first, *others = found
    first.beside = tuple(others)
    return first
