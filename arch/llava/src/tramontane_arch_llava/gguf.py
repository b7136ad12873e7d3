"""LLaVA's encoder as GGUF files have it, with projector type "mlp"; one that has tiles is of
LLaVA-NeXT.

A file has the layers of the encoder up to the one that is read, which it need not say.
"""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.clip_rules import clip_config, clip_names, pixel_settings, rows_of
from tramontane.checkpoint.encoder import EncoderSettings
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip

from .config import LlavaConfig

PINPOINTS = "clip.vision.image_grid_pinpoints"
NEWLINE = "model.image_newline"


def gguf_rules(cfg: LlavaConfig) -> list[Rule]:
    """Rows of q and k are Llama's, whose rotation pairs neighbours, but not Qwen's."""
    llama = cfg.model_type != "qwen2"
    depth = cfg.vision_config.num_hidden_layers
    return [
        *([Deinterleave("model.*.q_proj"), Deinterleave("model.*.k_proj")] if llama else []),
        *clip_names("vision_tower"),
        Skip("vision_tower.post_layernorm"),
        Rename("mm.0", "multi_modal_projector.linear_1"),
        Rename("mm.2", "multi_modal_projector.linear_2"),
        Rename("model.image_newline", "image_newline"),
        *(Skip(f"vision_tower.encoder.layers.{n}.*") for n in range(max(cfg.features), depth)),
    ]


def encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings | None:
    """Of LLaVA 1.5; None for what has tiles."""
    return None if PINPOINTS in metadata else _settings(metadata, config, tensors)


def next_encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings | None:
    """Of LLaVA 1.6; None for what has no tiles."""
    if PINPOINTS not in metadata:
        return None
    if NEWLINE not in tensors:
        raise ValueError(f"there is no tensor {NEWLINE!r}, which an encoder with tiles has")
    numbers = [int(each) for each in metadata[PINPOINTS]]
    pinpoints = [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    return _settings(metadata, config, tensors, image_grid_pinpoints=pinpoints)


def _settings(
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    tensors: Mapping[str, TensorInfo],
    **more: Any,
) -> EncoderSettings:
    vision = clip_config(metadata, tensors)
    vision["hidden_act"] = "gelu" if metadata.get("clip.use_gelu") else "quick_gelu"
    if "v.class_embd" not in tensors:
        raise ValueError("there is no tensor 'v.class_embd': only CLIP's encoder is supported")
    layers = metadata.get("clip.vision.feature_layer")
    read = vision["num_hidden_layers"] if layers is None else tuple(int(each) for each in layers)
    return EncoderSettings(
        width=rows_of("mm.2.weight", tensors),
        config={
            "vision_config": vision,
            "vision_feature_layer": read,
            "multimodal_projector_bias": "mm.0.bias" in tensors,
            **more,
        },
        processor=pixel_settings(metadata),
    )
