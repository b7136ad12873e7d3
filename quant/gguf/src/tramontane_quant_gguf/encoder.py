"""Encoders of images, `mmproj` files of llama.cpp: `general.architecture` is "clip".

Such a file holds no language model but what goes before one: an encoder, and the matrices that make
its rows the language model's. `clip.projector_type` says of which family it is; what its tensors
are is the family's to know. Two things are the format's own, and are undone here. A convolution
over several frames has five dimensions, and GGUF knows four, so it is written as one tensor for
each frame: NAME.weight, NAME.weight.1 (outputs, channels, height, width). And the first converters
called the two matrices of a feed-forward half by each other's names, up (hidden, wide) and down
(wide, hidden). Source: llama.cpp's convert_hf_to_gguf.py and clip.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tramontane.checkpoint.checkpoint import TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout

ENCODER = "clip"
"""`general.architecture` of such files."""
AUDIO = ("a.", "mm.a.")
"""What the names of an encoder of sounds begin with, which may lie in the same file."""
FRAME = re.compile(r"(?P<first>.+\.weight)\.(?P<number>[1-9]\d?)")
HALVES = re.compile(r"v\.blk\.\d+\.ffn_(up|down)\.(weight|bias)")


def encoder_kind(metadata: Mapping[str, Any], path: Path) -> str:
    """`clip.projector_type`. Raises CheckpointError for a file that encodes no images."""
    if not metadata.get("clip.has_vision_encoder", True):
        kind = metadata.get("clip.projector_type", metadata.get("clip.audio.projector_type"))
        raise CheckpointError(
            f"{path}: it encodes sound, not images (clip.projector_type={kind!r}), which is not "
            "supported"
        )
    kind = metadata.get("clip.projector_type") or metadata.get("clip.vision.projector_type")
    if kind is None and metadata.get("clip.has_llava_projector"):
        kind = "mlp"  # the first files say no more than that they are LLaVA's
    if not isinstance(kind, str):
        raise CheckpointError(f"{path}: clip.projector_type={kind!r} names no kind of encoder")
    return kind


class EncoderTensors:
    """The tensors of an encoder's file by the names that they should have. infos: those of the
    file."""

    def __init__(self, infos: Mapping[str, TensorInfo], width: int) -> None:
        """width: of the encoder's rows, `clip.vision.embedding_length`."""
        swapped = halves_swapped(infos, width)
        self.parts: dict[str, list[str]] = {}
        """The file's tensors that each tensor is made of, frame by frame."""
        self.infos: dict[str, TensorInfo] = {}
        for stored in infos:
            if stored.startswith(AUDIO):
                continue
            frame = FRAME.fullmatch(stored)
            if frame is not None and frame["first"] in infos:
                continue
            name = _swapped(stored) if swapped else stored
            self.parts[name] = _frames(stored, infos)
            self.infos[name] = _together([infos[part] for part in self.parts[name]])


def halves_swapped(infos: Mapping[str, TensorInfo], width: int) -> bool:
    """Whether the two matrices of a feed-forward half are called by each other's names: the first
    reads rows of the encoder's width, the second gives them."""
    down = infos.get("v.blk.0.ffn_down.weight")
    if down is None or len(down.shape) != 2 or down.shape[0] == down.shape[1]:
        return False
    return down.shape[1] == width


def _swapped(name: str) -> str:
    half = HALVES.fullmatch(name)
    if half is None:
        return name
    other = "down" if half[1] == "up" else "up"
    return name.replace(f"ffn_{half[1]}", f"ffn_{other}")


def _frames(name: str, infos: Mapping[str, TensorInfo]) -> list[str]:
    found = [name]
    while (following := f"{name}.{len(found)}") in infos:
        found.append(following)
    return found


def _together(frames: list[TensorInfo]) -> TensorInfo:
    """(outputs, channels, height, width) for each frame -> (outputs, channels, frames, ...)."""
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    shape = (*first.shape[:2], len(frames), *first.shape[2:])
    return replace(first, shape=shape, nbytes=sum(frame.nbytes for frame in frames))


def joined(frames: list[Layout], shape: tuple[int, ...], path: Path, name: str) -> Layout:
    """The frames of a convolution as one tensor of this shape; what is no convolution as it is.
    Raises CheckpointError."""
    if len(frames) == 1 and len(shape) < 4:
        return frames[0]
    data = [frame.data if isinstance(frame, Dense) else frame.decode() for frame in frames]
    if len({(each.shape, each.dtype) for each in data}) != 1:
        raise CheckpointError(f"{path}: the frames of {name!r} have other shapes or types each")
    if len(frames) == 1:
        return Dense(data[0].view(shape))
    each = (*shape[:2], *shape[3:])
    return Dense(torch.stack([frame.view(each) for frame in data], 2))
