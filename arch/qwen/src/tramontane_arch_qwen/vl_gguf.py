"""Qwen's vision models as GGUF files have them: sections of the rotation, and the encoders.

One name, "qwen2vl", is of the language models of Qwen2-VL and Qwen2.5-VL, which are alike; what
kind of encoder there is its own file says, with projector types "qwen2vl_merger",
"qwen2.5vl_merger" and "qwen3vl_merger".
"""

from collections.abc import Mapping
from typing import Any

from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.checkpoint.clip_rules import pixel_settings, rows_of
from tramontane.checkpoint.encoder import EncoderSettings
from tramontane.checkpoint.rules import Join, Rename, Rule

LEAST, MOST = 8, 4096
"""Rows of an image where a file does not bound its pixels, as llama.cpp has them."""
WINDOW = 112
"""Pixels of a window's side, which files do not say."""

OF_TWO: list[Rule] = [
    *(
        Rename(f"v.blk.*.{ours}", f"visual.blocks.*.{theirs}")
        for ours, theirs in {
            "ln1": "norm1", "ln2": "norm2", "attn_out": "attn.proj", "attn_qkv": "attn.qkv",
        }.items()
    ),
    *(
        Join(f"v.blk.*.attn_{name}", "visual.blocks.*.attn.qkv", place)
        for place, name in enumerate("qkv")
    ),
    Rename("v.patch_embd", "visual.patch_embed.proj"),
]  # fmt: skip
"""What all three have."""


def merger(norm: str, first: str, last: str) -> list[Rule]:
    """What joins patches, with the names of its parts."""
    parts = {"v.post_ln": norm, "mm.0": first, "mm.2": last}
    return [Rename(ours, f"visual.merger.{theirs}") for ours, theirs in parts.items()]


def halves(**names: str) -> list[Rule]:
    """Feed-forward matrices, by the family's names of them."""
    return [
        Rename(f"v.blk.*.ffn_{ours}", f"visual.blocks.*.mlp.{theirs}")
        for ours, theirs in names.items()
    ]


QWEN2 = [*OF_TWO, *merger("ln_q", "mlp.0", "mlp.2"), *halves(up="fc1", down="fc2")]
QWEN25 = [
    *OF_TWO,
    *merger("ln_q", "mlp.0", "mlp.2"),
    *halves(up="up_proj", down="down_proj", gate="gate_proj"),
]


def qwen3(deep: tuple[int, ...]) -> list[Rule]:
    """deep: layers with mergers of their own, by whose numbers files call these."""
    return [
        *OF_TWO,
        *merger("norm", "linear_fc1", "linear_fc2"),
        *halves(up="linear_fc1", down="linear_fc2"),
        Rename("v.position_embd", "visual.pos_embed"),
        *(
            Rename(f"v.deepstack.{layer}.{ours}", f"visual.deepstack_merger_list.{index}.{theirs}")
            for index, layer in enumerate(deep)
            for ours, theirs in {"norm": "norm", "fc1": "linear_fc1", "fc2": "linear_fc2"}.items()
        ),
    ]


def fields(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Of the language model; without an encoder's file it has none."""
    found: dict[str, Any] = {"vision_config": config.get("vision_config")}
    for name in ("qwen2vl", "qwen3vl"):
        if (sections := metadata.get(f"{name}.rope.dimension_sections")) is not None:
            found["mrope_section"] = tuple(int(each) for each in sections)[:3]
    return found


def _tower(metadata: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> dict[str, Any]:
    patch = tensors.get("v.patch_embd.weight")
    if patch is None or len(patch.shape) != 5:
        raise ValueError("'v.patch_embd.weight' and 'v.patch_embd.weight.1', the two frames of a "
                         "patch, are not both there")  # fmt: skip
    return {
        "depth": metadata["clip.vision.block_count"],
        "num_heads": metadata["clip.vision.attention.head_count"],
        "patch_size": metadata["clip.vision.patch_size"],
        "spatial_merge_size": metadata.get("clip.vision.spatial_merge_size", 2),
        "temporal_patch_size": patch.shape[2],
    }


def _settings(metadata: Mapping[str, Any], tower: Mapping[str, Any], width: int) -> EncoderSettings:
    square = (tower["patch_size"] * tower["spatial_merge_size"]) ** 2
    least = metadata.get("clip.vision.image_min_pixels", LEAST * square)
    most = metadata.get("clip.vision.image_max_pixels", MOST * square)
    size = {"shortest_edge": least, "longest_edge": most}
    processor = {**pixel_settings(metadata), "size": size}
    return EncoderSettings(width=width, config={"vision_config": tower}, processor=processor)


def qwen2_encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    width = rows_of("mm.2.weight", tensors)
    hidden = metadata["clip.vision.embedding_length"]
    ratio, rest = divmod(rows_of("v.blk.0.ffn_up.weight", tensors), hidden)
    if rest:
        raise ValueError(f"'v.blk.0.ffn_up.weight' has {ratio * hidden + rest} rows, which is no "
                         f"multiple of clip.vision.embedding_length {hidden}")  # fmt: skip
    tower = {"embed_dim": hidden, "hidden_size": width, "mlp_ratio": ratio}
    return _settings(metadata, _tower(metadata, tensors) | tower, width)


def qwen25_encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    width = rows_of("mm.2.weight", tensors)
    tower = _tower(metadata, tensors)
    each = int(metadata["clip.vision.n_wa_pattern"])
    tower |= {
        "hidden_size": metadata["clip.vision.embedding_length"],
        "intermediate_size": rows_of("v.blk.0.ffn_up.weight", tensors),
        "out_hidden_size": width,
        "window_size": metadata.get("clip.vision.window_size", WINDOW),
        # every nth layer sees all; 0: all do
        "fullatt_block_indexes": tuple(range(tower["depth"]))[max(each - 1, 0) :: each or 1],
    }
    return _settings(metadata, tower, width)


def qwen3_encoder(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> EncoderSettings:
    width = rows_of("mm.2.weight", tensors)
    deep = metadata.get("clip.vision.is_deepstack_layers", ())
    tower = _tower(metadata, tensors) | {
        "hidden_size": metadata["clip.vision.embedding_length"],
        "intermediate_size": rows_of("v.blk.0.ffn_up.weight", tensors),
        "out_hidden_size": width,
        "num_position_embeddings": rows_of("v.position_embd.weight", tensors),
        "deepstack_visual_indexes": tuple(i for i, taken in enumerate(deep) if taken),
    }
    return _settings(metadata, tower, width)
