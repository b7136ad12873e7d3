"""Folders of one tiny model, quantized and not, and what models loaded from them compute."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from .forward_passes import whole

Quantize = Callable[[str, Tensor], "tuple[Mapping[str, Tensor], Tensor] | None"]
"""(name, tensor) -> the tensors that are stored in its place, by their whole names, and the numbers
that they stand for; None: it stays."""


def write_pair(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    quantize: Quantize,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Path, Path]:
    """Two folders of one model: with quantized layers, and with what these stand for as floats.
    metadata: what the file of the first has under `__metadata__`."""
    packed, plain = dict[str, Tensor](), dict[str, Tensor]()
    for name, tensor in tensors.items():
        made = quantize(name, tensor)
        parts, numbers = ({name: tensor}, tensor) if made is None else made
        packed.update(parts)
        plain[name] = numbers
    quantized = {**config, "quantization_config": dict(settings)}
    return (
        write_folder(folder / "quantized", quantized, packed, metadata),
        write_folder(folder / "plain", config, plain),
    )


def write_folder(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """A folder with config.json and weights."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    named = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / "model.safetensors", {"format": "pt", **metadata})
    return folder


def load_folder(folder: Path, device: str = "reference") -> Loaded:
    """The model of a folder, computing in float32. Raises what `load_model` does."""
    checkpoint = open_checkpoint(folder, Registry())
    return load_model(checkpoint, Registry(), LoadOptions(device=device))


def apart(first: Path, second: Path, tokens: Sequence[int], device: str = "reference") -> float:
    """The largest difference of two models' logits as a part of the largest logit: the first on a
    device, the second on the reference."""
    options = LoadOptions(device=device, dtype="f32", activations="f32")
    ours = load_model(open_checkpoint(first, Registry()), Registry(), options).model
    plain = LoadOptions(device="reference", dtype="f32", activations="f32")
    theirs = load_model(open_checkpoint(second, Registry()), Registry(), plain).model
    with torch.inference_mode():
        found, expected = (whole(model, tokens).float() for model in (ours, theirs))
    return float((found - expected).abs().max() / expected.abs().max())
