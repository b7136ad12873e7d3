"""Single files of FLUX.1: what their tensors say of them, and where their other parts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tramontane.checkpoint.checkpoint import Checkpoint, HasParts, TensorInfo
from tramontane.errors import CheckpointError

from .config import AE

Tensors = Mapping[str, TensorInfo]


class Wanted(NamedTuple):
    """A part: the architecture that reads it, its folder in diffusers' form, names of files as
    patterns, and what to call it."""

    architecture: str
    folder: str
    files: tuple[str, ...]
    called: str


WANTED = (
    Wanted("CLIPTextModel", "text_encoder", ("clip_l*.safetensors",),
           "CLIP's encoder of texts (text_encoder/ or clip_l.safetensors)"),
    Wanted("T5EncoderModel", "text_encoder_2",
           ("t5xxl*.safetensors", "t5-v1_1-xxl*.safetensors", "google_t5-v1_1-xxl*.safetensors"),
           "T5's encoder of texts (text_encoder_2/ or t5xxl_fp16.safetensors)"),
    Wanted("AutoencoderKL", "vae", ("ae.safetensors", "ae.sft", "*flux*vae*.safetensors"),
           "the autoencoder (vae/ or ae.safetensors)"),
)  # fmt: skip
WORDS = {
    "tokenizer": "CLIP's tokenizer (tokenizer/)",
    "tokenizer_2": "T5's tokenizer (tokenizer_2/)",
}
BESIDE = ("clip", "text_encoders", "vae")
"""Folders of ComfyUI beside that of the transformer."""


def parts(checkpoint: Checkpoint, folder: Path | None = None) -> dict[str, Path]:
    """The parts that a file lacks, by their folders' names. Raises CheckpointError, which says
    which to download."""
    path = Path(checkpoint.header.path)
    inside = checkpoint.parts.values() if isinstance(checkpoint, HasParts) else ()
    have = {part.header.architecture for part in inside}
    where = roots(path, folder)
    found, missing = {}, []
    for wanted in WANTED:
        if wanted.architecture in have:
            continue
        here = next((each for root in where for each in _candidates(root, wanted)), None)
        if here is None:
            missing.append(wanted.called)
        else:
            found[wanted.folder] = here
    missing += [called for name, called in WORDS.items() if tokenizer_folder(name, where) is None]
    if missing:
        looked = " and ".join(map(str, where[:2]))
        raise CheckpointError(
            f"{path} is a part of FLUX.1, and lacks others: {', '.join(missing)}; looked in "
            f"{looked}. All are in black-forest-labs/FLUX.1-dev and FLUX.1-schnell: download "
            "these folders there, or name a folder that has them with --parts DIR"
        )
    return found


def roots(path: Path, folder: Path | None) -> list[Path]:
    """Where parts may lie: the folder that was named, that of the file, and the one above."""
    given = [] if folder is None else [folder]
    return [*given, path.parent, path.parent.parent]


def tokenizer_folder(name: str, where: list[Path]) -> Path | None:
    """The folder of a tokenizer."""
    return next((root / name for root in where if (root / name).is_dir()), None)


def _candidates(root: Path, wanted: Wanted) -> Iterator[Path]:
    if (root / wanted.folder / "config.json").is_file():
        yield root / wanted.folder
    for folder in (root, *(root / name for name in BESIDE)):
        for pattern in wanted.files:
            yield from sorted(folder.glob(pattern))


def transformer_fields(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Tensors
) -> dict[str, Any]:
    """Of files with Black Forest Labs' names, GGUF files among them. Raises KeyError."""
    if "img_in.weight" not in tensors:  # a folder's, which has a configuration
        return {}
    hidden, in_channels = tensors["img_in.weight"].shape
    (head,) = tensors["double_blocks.0.img_attn.norm.query_norm.scale"].shape
    axis = head * 7 // 16
    return {
        "in_channels": in_channels,
        "num_layers": _count(tensors, "double_blocks."),
        "num_single_layers": _count(tensors, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": hidden // head,
        "joint_attention_dim": tensors["txt_in.weight"].shape[1],
        "pooled_projection_dim": tensors["vector_in.in_layer.weight"].shape[1],
        "guidance_embeds": "guidance_in.in_layer.weight" in tensors,
        "axes_dims_rope": (head - 2 * axis, axis, axis),
    }


def t5_fields(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Tensors
) -> dict[str, Any]:
    """Of T5's encoder, with the names of transformers. Raises KeyError."""
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    counts, heads = tensors[bias].shape
    vocab, wide = tensors["shared.weight"].shape
    inner = tensors["encoder.block.0.layer.0.SelfAttention.q.weight"].shape[0]
    return {
        "vocab_size": vocab,
        "d_model": wide,
        "d_kv": inner // heads,
        "d_ff": tensors["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"].shape[0],
        "num_layers": _count(tensors, "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": counts,
    }


def clip_fields(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Tensors
) -> dict[str, Any]:
    """Of CLIP's encoder of texts; its heads have 64 numbers. Raises KeyError."""
    vocab, wide = tensors["text_model.embeddings.token_embedding.weight"].shape
    layer = "text_model.encoder.layers."
    return {
        "vocab_size": vocab,
        "hidden_size": wide,
        "intermediate_size": tensors[f"{layer}0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _count(tensors, layer),
        "num_attention_heads": max(1, wide // 64),
        "max_position_embeddings": (
            tensors["text_model.embeddings.position_embedding.weight"].shape[0]
        ),
    }


def vae_fields(
    metadata: Mapping[str, Any], config: Mapping[str, Any], tensors: Tensors
) -> dict[str, Any]:
    """Of `ae.safetensors`. Raises KeyError."""
    levels = _count(tensors, "encoder.down.")
    wide = [tensors[f"encoder.down.{i}.block.0.conv2.weight"].shape[0] for i in range(levels)]
    return {
        **AE,
        "block_out_channels": tuple(wide),
        "layers_per_block": _count(tensors, "encoder.down.0.block."),
        "norm_num_groups": min(32, min(wide) // 2),
        "latent_channels": tensors["decoder.conv_in.weight"].shape[1],
    }


def _count(tensors: Tensors, prefix: str) -> int:
    numbers = (
        name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)
    )
    return len(set(numbers))
