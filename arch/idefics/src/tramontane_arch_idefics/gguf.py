"""The encoder of Idefics3 and SmolVLM as GGUF files have it, with projector type "idefics3"."""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.clip_rules import clip_config, clip_names, pixel_settings, rows_of
from tramontane.checkpoint.encoder import EncoderSettings
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule

GGUF: list[Rule] = [
    Deinterleave("model.*.q_proj"),
    Deinterleave("model.*.k_proj"),
    *clip_names("vision_model"),
    Rename("mm.model.fc", "connector.modality_projection.proj"),
]


def encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    """Of a GGUF file. What tiles there are it does not say: they are of the encoder's own size."""
    vision = clip_config(metadata, tensors)
    longest = metadata.get("clip.vision.preproc_image_size", 4 * vision["image_size"])
    return EncoderSettings(
        width=rows_of("mm.model.fc.weight", tensors),
        config={
            "vision_config": vision,
            "scale_factor": metadata.get("clip.vision.projector.scale_factor", 2),
        },
        processor={**pixel_settings(metadata), "size": {"longest_edge": longest}},
    )
