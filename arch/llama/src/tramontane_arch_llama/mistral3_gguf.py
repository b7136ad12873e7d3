"""Mistral 3's encoder as GGUF files have it, with projector type "pixtral".

Rows of q and k are turned for a rotation that pairs neighbours, as the language model's are.
"""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.clip_rules import clip_config, pixel_settings, rows_of
from tramontane.checkpoint.encoder import EncoderSettings
from tramontane.checkpoint.rules import Deinterleave, Rename, Rule, Skip

from .ministral import WEIGHTS

GGUF: list[Rule] = [
    *WEIGHTS["gguf"],
    *(
        Rename(f"v.blk.*.{ours}", f"vision_tower.transformer.layers.*.{theirs}")
        for ours, theirs in {
            "ln1": "attention_norm", "ln2": "ffn_norm", "attn_q": "attention.q_proj",
            "attn_k": "attention.k_proj", "attn_v": "attention.v_proj",
            "attn_out": "attention.o_proj", "ffn_gate": "feed_forward.gate_proj",
            "ffn_up": "feed_forward.up_proj", "ffn_down": "feed_forward.down_proj",
        }.items()
    ),
    Rename("v.patch_embd", "vision_tower.patch_conv"),
    Rename("v.pre_ln", "vision_tower.ln_pre"),
    Skip("v.token_embd.img_break"),
    Rename("mm.input_norm", "multi_modal_projector.norm"),
    Rename("mm.patch_merger", "multi_modal_projector.patch_merger.merging_layer"),
    Rename("mm.1", "multi_modal_projector.linear_1"),
    Rename("mm.2", "multi_modal_projector.linear_2"),
    *(Deinterleave(f"vision_tower.*.{name}_proj") for name in "qk"),
]  # fmt: skip


def encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    """Of a GGUF file. The long side of images is not told: it is image_size, as in all checkpoints.
    Raises ValueError for Pixtral's own, which merges no patches."""
    if "mm.patch_merger.weight" not in tensors:
        raise ValueError("there is no tensor 'mm.patch_merger.weight': Pixtral 12B's encoder, "
                         "which merges no patches, is not supported")  # fmt: skip
    vision = clip_config(metadata, tensors)
    longest = vision.pop("image_size")
    del vision["layer_norm_eps"]  # the family has one
    vision["hidden_act"] = "silu" if metadata.get("clip.use_silu") else "gelu"
    return EncoderSettings(
        width=rows_of("mm.2.weight", tensors),
        config={
            "vision_config": vision,
            "spatial_merge_size": metadata.get("clip.vision.spatial_merge_size", 1),
            "multimodal_projector_bias": "mm.1.bias" in tensors,
        },
        processor={**pixel_settings(metadata), "size": {"longest_edge": longest}},
    )
