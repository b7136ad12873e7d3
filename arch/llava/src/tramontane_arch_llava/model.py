"""LLaVA 1.5: the patches that CLIP saw, through two matrices, as rows of a language model."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn
from tramontane.blocks import (
    ACTIVATIONS,
    Attention,
    GatedMLP,
    Linear,
    MediaLM,
    PreNormLayer,
    rope_for,
)
from tramontane.blocks.clip import ClipTower
from tramontane.checkpoint.rules import Rename, Rule, Skip

from .config import LlavaConfig
from .gguf import gguf_rules


def layer(cfg: LlavaConfig, index: int) -> PreNormLayer:
    bias, out_bias = cfg.biases
    attention = Attention(
        cfg, index, rope=rope_for(cfg), window=cfg.window(index), bias=bias, out_bias=out_bias
    )
    mlp_bias = cfg.mlp_bias and cfg.model_type == "llama"
    return PreNormLayer(cfg, attention, GatedMLP(cfg, bias=mlp_bias))


class Projector(nn.Module):
    """linear_2(act(linear_1(x))), (patches, features * vision hidden) -> (patches, hidden)."""

    def __init__(self, cfg: LlavaConfig) -> None:
        super().__init__()
        wide, bias = (
            len(cfg.features) * cfg.vision_config.hidden_size,
            cfg.multimodal_projector_bias,
        )
        self.act = ACTIVATIONS[cfg.projector_hidden_act]
        self.linear_1 = Linear(wide, cfg.hidden_size, bias=bias)
        self.linear_2 = Linear(cfg.hidden_size, cfg.hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_2(self.act(self.linear_1(x)))
        return out


class Llava(MediaLM):
    Layer = staticmethod(layer)

    def __init__(self, cfg: LlavaConfig) -> None:
        super().__init__(cfg)
        self.skipped = cfg.skipped
        self.vision_tower = ClipTower(cfg.vision_config, cfg.features)
        self.multi_modal_projector = Projector(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        return self.square(arrays["pixels"])

    def square(self, pixels: Tensor) -> Iterator[Tensor | None]:
        """pixels: (3, side, side) -> None after each layer, and last (rows, hidden)."""
        for x in self.vision_tower.steps(pixels):
            yield x if x is None else self.multi_modal_projector(x[self.skipped :])


def weights(cfg: LlavaConfig) -> dict[str, list[Rule]]:
    """Layers of the encoder behind the last that is read are left out."""
    depth = cfg.vision_config.num_hidden_layers
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.position_ids"),
            Rename("model.language_model.*", "model.*"),
            Rename("language_model.*", "*"),
            Rename("model.vision_tower.*", "vision_tower.*"),
            Rename("model.multi_modal_projector.*", "multi_modal_projector.*"),
            Rename("model.image_newline", "image_newline"),
            Rename("vision_tower.vision_model.*", "vision_tower.*"),
            Skip("vision_tower.post_layernorm"),
            Skip("vision_tower.head.*"),
            *(Skip(f"vision_tower.encoder.layers.{n}.*") for n in range(max(cfg.features), depth)),
        ],
        "gguf": gguf_rules(cfg),
    }
