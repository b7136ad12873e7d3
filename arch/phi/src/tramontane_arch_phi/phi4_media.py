"""Phi-4-multimodal: Phi-4-mini with encoders of images and sounds, and with adapters of its own for
prompts that have them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Linear, MediaLM
from tramontane.checkpoint.rules import Flatten, Kept, Rename, Rule, Skip
from tramontane.layouts import Dense, Layout

from .model import PHI3_WEIGHTS, phi3_layer
from .phi4_config import Phi4MultimodalConfig
from .phi4_conformer import Conformer
from .phi4_vision import ImageEmbedding

KINDS = ("speech", "vision_speech")
"""What sounds are projected by: alone, and in prompts with images."""


class AudioEmbedding(nn.Module):
    """Tensors: encoder, and for each of KINDS up_proj_for_ and down_proj_for_ it."""

    def __init__(self, cfg: Phi4MultimodalConfig) -> None:
        super().__init__()
        self.encoder = Conformer(cfg.audio_config)
        for kind in KINDS:
            up = Linear(cfg.audio_config.hidden_size, cfg.hidden_size, bias=True)
            self.add_module(f"up_proj_for_{kind}", up)
            down = Linear(cfg.hidden_size, cfg.hidden_size, bias=True)
            self.add_module(f"down_proj_for_{kind}", down)

    def steps(self, features: Tensor, *, images: bool) -> Iterator[Tensor | None]:
        """features: (frames, bands). images: whether the prompt has any -> None where it may be
        interrupted, last (rows, hidden)."""
        for x in self.encoder.steps(features):
            if x is None:
                yield None
                continue
            up, down = (getattr(self, f"{way}_proj_for_{KINDS[images]}") for way in ("up", "down"))
            yield down(F.gelu(up(x)))


class Phi4Multimodal(MediaLM):
    Layer = staticmethod(phi3_layer)

    def __init__(self, cfg: Phi4MultimodalConfig) -> None:
        super().__init__(cfg)
        self.image_embed = ImageEmbedding(cfg.vision_config, cfg.hidden_size)
        self.audio_embed = AudioEmbedding(cfg)

    def encode(self, kind: str, arrays: Mapping[str, Tensor]) -> Iterator[Tensor | None]:
        if kind == "audio":
            return self.audio_embed.steps(arrays["features"], images="images" in arrays)
        down, across, high, wide = (int(number) for number in arrays["grid"])
        return self.image_embed.steps(arrays["pixels"], (down, across), (high, wide))


@dataclass(frozen=True)
class Columns(Kept):
    """A convolution over one position, stored with a dimension more, as a matrix."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if len(layout.shape) == 1:
            return layout
        rows, columns = cast("Linear", model.get_submodule(path)).weight.shape
        if layout.shape[0] * layout.shape[1] != rows * columns:
            raise ValueError(f"{layout.shape} are not the numbers of {rows} x {columns}")
        plain = layout.data if isinstance(layout, Dense) else layout.decode()
        return Dense(plain.reshape(rows, columns))


IMAGES, SOUNDS = "image_embed", "audio_embed"
LAYERS = f"{SOUNDS}.encoder.encoders.*"
PUBLISHED: tuple[Rule, ...] = (
    Rename("*.base_layer", "*"),
    Rename(f"{IMAGES}.img_projection.0", f"{IMAGES}.img_projection_up"),
    Rename(f"{IMAGES}.img_projection.2", f"{IMAGES}.img_projection_down"),
    Rename(f"{IMAGES}.glb_GN", f"{IMAGES}.global_img_feature_extensor"),
    Rename(f"{IMAGES}.sub_GN", f"{IMAGES}.sub_img_feature_extensor"),
    *(
        Rename(f"{SOUNDS}.audio_projection.{theirs}.{place}", f"{SOUNDS}.{way}_proj_for_{ours}")
        for theirs, ours in zip(("speech", "vision"), KINDS, strict=True)
        for place, way in ((0, "up"), (2, "down"))
    ),
    Rename(f"{LAYERS}.net.0.linear", f"{LAYERS}.wide_proj"),
    Rename(f"{LAYERS}.net.2", f"{LAYERS}.down_proj"),
    *(
        Rename(f"{LAYERS}.self_attn.linear_{theirs}", f"{LAYERS}.self_attn.{ours}_proj")
        for theirs, ours in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "o"))
    ),
)
"""Names of published checkpoints, as transformers has them."""


def weights(cfg: Phi4MultimodalConfig) -> dict[str, list[Rule]]:
    """Layers of the encoder of images behind the one that is read are left out, and its head."""
    tower, convolutions = f"{IMAGES}.img_processor", f"{LAYERS}.conv"
    unread = range(cfg.vision_config.feature, cfg.vision_config.num_hidden_layers)
    return {
        "hf": [
            Skip("*.rotary_emb"),
            Skip("*.position_ids"),
            Skip("*.lora_A.*"),  # adapters of its own: see `phi4_adapters`
            Skip("*.lora_B.*"),
            Rename("model.embed_tokens_extend.*", "*"),
            Rename(f"{tower}.vision_model.*", f"{tower}.*"),
            *(Skip(f"{tower}.encoder.layers.{index}.*") for index in unread),
            Skip(f"{tower}.post_layernorm"),
            Skip(f"{tower}.head.*"),
            *PUBLISHED,
            Rename(f"{LAYERS}.gate_up_proj", f"{LAYERS}.wide_proj"),
            Flatten(f"{IMAGES}.global_img_feature_extensor"),
            Flatten(f"{IMAGES}.sub_img_feature_extensor"),
            Flatten(f"{convolutions}.glu.b1"),
            Flatten(f"{convolutions}.glu.b2"),
            Columns(f"{convolutions}.glu.ext_pw_conv_1d"),
            Columns(f"{convolutions}.ext_pw_conv_1d"),
            Columns(f"{convolutions}.dw_sep_conv_1d.pw_conv"),
            *PHI3_WEIGHTS["hf"],
        ]
    }
