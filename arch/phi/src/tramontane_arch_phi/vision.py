"""Phi-3 vision and Phi-3.5 vision: Phi-3, with images that are cut into squares for CLIP's encoder.

Of a square's n x n patches, 2 x 2 are joined to one row each. The squares of an image make one
plane, whose lines end with a learned row; behind another learned row comes the whole image.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM
from tramontane.blocks.clip import CLIP_LARGE, ClipConfig, ClipTower
from tramontane.checkpoint.rules import Flatten, Rename, Rule, Skip
from tramontane.config.decoder import ModelConfig

from .model import PHI3_WEIGHTS, Phi3Config, phi3_layer


class ImageProcessorConfig(ModelConfig):
    """The fields of `img_processor`."""

    name: Literal["clip_vision_model"] = "clip_vision_model"
    model_name: Literal["openai/clip-vit-large-patch14-336"] = "openai/clip-vit-large-patch14-336"
    image_dim_out: int | None = None
    num_img_tokens: int | None = None
    layer_idx: int = -2
    type_feature: Literal["patch"] = "patch"


class EmbeddingLayerConfig(ModelConfig):
    """The fields of `embd_layer`: how the rows of squares are arranged."""

    embedding_cls: Literal["image"] = "image"
    projection_cls: Literal["mlp"]
    hd_transform_order: Literal["sub_glb"]
    use_hd_transform: Literal[True]
    with_learnable_separator: Literal[True]


class Phi3VisionConfig(Phi3Config):
    """vision_config: of the encoder; published configurations have none, for it is CLIP's large one
    at 336 x 336."""

    img_processor: ImageProcessorConfig
    embd_layer: EmbeddingLayerConfig
    vision_config: ClipConfig = Field(default_factory=lambda: ClipConfig(**CLIP_LARGE))
    absent = MappingProxyType(
        dict(Phi3Config.absent)
        | {
            "vocab_size": 32_064,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        }
    )

    @classmethod
    def derive(cls, values: dict[str, Any]) -> None:
        super().derive(values)
        values.setdefault("img_processor", {})
        if not isinstance(values.get("embd_layer"), Mapping):
            raise ValueError(
                "embd_layer does not say how images are seen; only the layer of published "
                "checkpoints is supported, with hd_transform_order 'sub_glb'"
            )

    @property
    def feature(self) -> int:
        """The layer of the encoder whose output is read; 0: the first one's input."""
        told = self.img_processor.layer_idx
        return told if told >= 0 else self.vision_config.num_hidden_layers + 1 + told

    @property
    def lines(self) -> int:
        """Lines of rows of a square, and rows of a line."""
        return self.vision_config.side // 2

    @model_validator(mode="after")
    def _fits(self) -> "Phi3VisionConfig":
        vision, told = self.vision_config, self.img_processor
        if vision.side % 2 or vision.side * vision.patch_size != vision.image_size:
            raise ValueError(
                f"squares of {vision.image_size} pixels are no even number of patches of "
                f"{vision.patch_size}"
            )
        if not 0 <= self.feature <= vision.num_hidden_layers:
            raise ValueError(
                f"img_processor.layer_idx {told.layer_idx} is none of an encoder of "
                f"{vision.num_hidden_layers} layers"
            )
        for name, said, is_ in (
            ("image_dim_out", told.image_dim_out, vision.hidden_size),
            ("num_img_tokens", told.num_img_tokens, self.lines**2),
        ):
            if said not in (None, is_):
                raise ValueError(f"img_processor.{name} {said}, but the encoder gives {is_}")
        return self


class Projection(nn.Module):
    """Two matrices with a GELU between. Tensors: 0 (hidden, 4 * vision hidden), 2 (hidden,
    hidden)."""

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__()
        self.add_module("0", Linear(wide, hidden, bias=True))
        self.add_module("2", Linear(hidden, hidden, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.children()
        out: Tensor = last(F.gelu(first(x)))
        return out


class ImageEmbedding(nn.Module):
    """Tensors: img_processor, img_projection, sub_GN and glb_GN (4 * vision hidden): the rows that
    end a line, and that stand before the whole image."""

    def __init__(self, cfg: Phi3VisionConfig) -> None:
        super().__init__()
        wide, self.lines = 4 * cfg.vision_config.hidden_size, cfg.lines
        self.img_processor = ClipTower(cfg.vision_config, (cfg.feature,))
        self.sub_GN = nn.Parameter(torch.empty(wide), requires_grad=False)
        self.glb_GN = nn.Parameter(torch.empty(wide), requires_grad=False)
        self.img_projection = Projection(wide, cfg.hidden_size)

    def plane(self, squares: Tensor, down: int, across: int) -> Tensor:
        """squares: (down * across, patches, vision hidden) -> (rows, 4 * vision hidden), line by
        line, each with its end."""
        side = self.lines
        x = squares.unflatten(1, (side, 2, side, 2)).unflatten(0, (down, across))
        x = x.permute(0, 2, 1, 4, 3, 5, 6).reshape(down * side, across * side, -1)
        ends = self.sub_GN.to(x.dtype).expand(len(x), 1, -1)
        return torch.cat((x, ends), 1).flatten(0, 1)

    def steps(self, pixels: Tensor, down: int, across: int) -> Iterator[Tensor | None]:
        """pixels: (1 + down * across, 3, side, side), first the whole image -> None after each
        layer, and last (rows, hidden)."""
        seen: list[Tensor] = []
        for square in pixels:
            for x in self.img_processor.steps(square):
                if x is not None:
                    seen.append(x[1:])
                yield None
        squares = torch.stack(seen)
        parts = self.plane(squares[1:], down, across), self.plane(squares[:1], 1, 1)
        rows = torch.cat((parts[0], self.glb_GN.to(squares.dtype)[None], parts[1]))
        yield self.img_projection(rows)


class Phi3Vision(MediaLM):
    Layer = staticmethod(phi3_layer)

    def __init__(self, cfg: Phi3VisionConfig) -> None:
        super().__init__(cfg)
        self.vision_embed_tokens = ImageEmbedding(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        down, across = (int(number) for number in arrays["grid"])
        return self.vision_embed_tokens.steps(arrays["pixels"], down, across)


def weights(cfg: Phi3VisionConfig) -> dict[str, list[Rule]]:
    """Layers of the encoder behind the one that is read are left out."""
    tower = "vision_embed_tokens.img_processor"
    unread = range(cfg.feature, cfg.vision_config.num_hidden_layers)
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.position_ids"),
            Skip("model.vision_embed_tokens.wte"),  # the token vectors once more
            Rename("model.vision_embed_tokens.*", "vision_embed_tokens.*"),
            Rename(f"{tower}.vision_model.*", f"{tower}.*"),
            Flatten("vision_embed_tokens.sub_GN"),
            Flatten("vision_embed_tokens.glb_GN"),
            Skip(f"{tower}.post_layernorm"),
            *(Skip(f"{tower}.encoder.layers.{index}.*") for index in unread),
            *PHI3_WEIGHTS["hf"],
        ]
    }
