"""What GGUF files with an encoder say, for families whose encoder is CLIP's or its like: the names
of tensors, and the metadata.

Such a file calls layers `v.blk.N`, and the rest of the encoder `v.*`; what joins it to the language
model is `mm.*`, which each family spells by itself. Source: the tensor map and the constants of the
gguf package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rules import Rename, Rule

LAYER = {
    "ln1": "layer_norm1", "ln2": "layer_norm2", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_out": "self_attn.out_proj",
    "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2",
}  # fmt: skip
OUTER = {
    "class_embd": "embeddings.class_embedding",
    "patch_embd": "embeddings.patch_embedding",
    "position_embd": "embeddings.position_embedding",
    "pre_ln": "pre_layrnorm",
    "post_ln": "post_layernorm",
}


def clip_names(tower: str) -> list[Rule]:
    """Rules for the encoder at `tower`, with the module names that CLIP and SigLIP have."""
    return [
        *(
            Rename(f"v.blk.*.{ours}", f"{tower}.encoder.layers.*.{to}")
            for ours, to in LAYER.items()
        ),
        *(Rename(f"v.{ours}", f"{tower}.{to}") for ours, to in OUTER.items()),
    ]


def clip_config(metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """`vision_config` in config.json's words, what all such files say. Raises KeyError with the key
    that is missing."""
    config = {
        word: metadata[f"clip.vision.{key}"]
        for word, key in {
            "hidden_size": "embedding_length",
            "num_hidden_layers": "block_count",
            "num_attention_heads": "attention.head_count",
            "image_size": "image_size",
            "patch_size": "patch_size",
            "layer_norm_eps": "attention.layer_norm_epsilon",
        }.items()
    }
    # the key of this size has been written wrong, or as 0
    config["intermediate_size"] = rows_of("v.blk.0.ffn_up.weight", tensors)
    return config


def pixel_settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`image_mean` and `image_std` of `preprocessor_config.json`."""
    return {name: [float(each) for each in metadata[f"clip.vision.{name}"]]
            for name in ("image_mean", "image_std")}  # fmt: skip


def columns_of(name: str, tensors: Mapping[str, Any]) -> int:
    """Columns of a matrix. Raises ValueError where it is missing."""
    if name not in tensors:
        raise ValueError(f"there is no tensor {name!r}")
    return int(tensors[name].shape[-1])


def rows_of(name: str, tensors: Mapping[str, Any]) -> int:
    """Rows of a matrix. Raises ValueError where it is missing."""
    if name not in tensors:
        raise ValueError(f"there is no tensor {name!r}")
    return int(tensors[name].shape[0])
