"""Reading DAC's weights: a folder as transformers saves it, or the maker's own .pth file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tramontane.checkpoint.checkpoint import DENSE
from tramontane.checkpoint.folder import FolderCheckpoint
from tramontane.errors import CheckpointError, ConfigError
from tramontane.layouts import Dense

from .dac import Dac
from .dac_config import config_of

NORMED = (
    ("{}.weight_g", "{}.weight_v"),
    ("{}.parametrizations.weight.original0", "{}.parametrizations.weight.original1"),
)
"""How a weight is stored whose length is apart from its direction: first the length."""
MOST_BYTES = 8 << 30


def read_dac(path: Path) -> Dac:
    """The codec of a folder or .pth file, in float32. Raises CheckpointError, ConfigError."""
    return _of_file(path) if path.is_file() else _of_folder(path)


def _of_folder(path: Path) -> Dac:
    if not (path / "config.json").exists():
        raise CheckpointError(f"{path} is not a codec: it has no config.json")
    with closing(FolderCheckpoint(path)) as checkpoint:
        header = checkpoint.header
        if header.architecture != "DacModel":
            raise CheckpointError(f"{path}: DacModel is expected, it is {header.architecture}")
        try:
            model = _built(header.config)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

        def read(name: str) -> Tensor:
            layout = checkpoint.read(name)
            if not isinstance(layout, Dense) or layout.kind not in DENSE:
                raise CheckpointError(f"{path}: {name} is not plain numbers, but {layout.kind}")
            return layout.data

        shapes = {name: tuple(info.shape) for name, info in header.tensors.items()}
        _fill(model, shapes, read, path)
    return model


def _of_file(path: Path) -> Dac:
    if path.stat().st_size > MOST_BYTES:
        raise CheckpointError(f"{path} is larger than any codec: {MOST_BYTES >> 30} GiB or less")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        told = held["metadata"]["kwargs"]
        tensors = {_renamed(name, len(told["encoder_rates"])): each for name, each
                   in held["state_dict"].items()}  # fmt: skip
    except (RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not DAC's weights: a file of state_dict and metadata is expected "
            f"({type(error).__name__}: {str(error)[:80]})"
        ) from error
    except Exception as error:
        if type(error).__name__ != "UnpicklingError":
            raise
        raise CheckpointError(
            f"{path} has more in it than numbers, which is not read: use the folder that "
            "transformers has of this codec"
        ) from error
    names = {
        "encoder_hidden_size": "encoder_dim",
        "decoder_hidden_size": "decoder_dim",
        "downsampling_ratios": "encoder_rates",
        "n_codebooks": "n_codebooks",
        "codebook_size": "codebook_size",
        "codebook_dim": "codebook_dim",
        "sampling_rate": "sample_rate",
    }
    try:
        model = _built({to: told[name] for to, name in names.items() if name in told})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if list(told.get("decoder_rates", ())) != list(told["encoder_rates"])[::-1]:
        raise ConfigError(f"{path}: decoder_rates are not encoder_rates in reverse")
    shapes = {name: tuple(each.shape) for name, each in tensors.items()}
    _fill(model, shapes, lambda name: cast("Tensor", tensors[name]), path)
    return model


def _built(config: Mapping[str, Any]) -> Dac:
    cfg = config_of(config)
    with torch.device("meta"):
        return Dac(cfg).eval()


def _fill(
    model: Dac, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], Tensor], path: Path
) -> None:
    """Put every tensor in its place. Raises CheckpointError where they do not fit exactly."""
    left = set(shapes)
    for name, wanted in list(model.named_parameters()):
        names = next(_stored(name, shapes), None)
        if names is None:
            raise CheckpointError(f"{path}: {name} is missing")
        if shapes[names[-1]] != tuple(wanted.shape):
            raise CheckpointError(
                f"{path}: {names[-1]} is {shapes[names[-1]]}, {tuple(wanted.shape)} is expected"
            )
        left -= set(names)
        parts = [read(each).float() for each in names]
        value = parts[-1] if len(parts) == 1 else _whole(parts[0], parts[1], name, path)
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} has numbers that are not finite")
        owner, _, last = name.rpartition(".")
        place = model.get_submodule(owner)
        setattr(place, last, nn.Parameter(value.contiguous(), requires_grad=False))
    if left:
        raise CheckpointError(f"{path}: tensors that no codec of this kind has: {min(left)}")


def _stored(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, ...]]:
    """Names of the tensors that a parameter is made of."""
    if name in shapes:
        yield (name,)
    stem = name.removesuffix(".weight")
    for pair in NORMED if stem != name else ():
        found = tuple(each.format(stem) for each in pair)
        if all(each in shapes for each in found):
            yield found


def _whole(length: Tensor, direction: Tensor, name: str, path: Path) -> Tensor:
    """A weight of its length and direction, both over all but the first dimension."""
    if length.shape != (len(direction), 1, 1):
        raise CheckpointError(f"{path}: the length of {name} is {tuple(length.shape)}")
    norm: Tensor = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    return direction * (length / norm)


def _renamed(name: str, blocks: int) -> str:
    """A tensor of the maker's file by the name that transformers has for it."""
    side, _, rest = name.partition(".")
    if side not in ("encoder", "decoder"):
        return name
    inner = {"encoder": "block", "decoder": "model"}[side]
    found = re.fullmatch(rf"{inner}\.(\d+)\.(.+)", rest)
    if found is None:
        return name
    place, tail = int(found[1]), found[2]
    if place == 0 or place > blocks:
        return f"{side}.{({0: 'conv1', blocks + 1: 'snake1'}).get(place, 'conv2')}.{tail}"
    at, _, tail = tail.removeprefix("block.").partition(".")
    outer = {"encoder": {3: "snake1", 4: "conv1"}, "decoder": {0: "snake1", 1: "conv_t1"}}[side]
    if int(at) in outer:
        return f"{side}.block.{place - 1}.{outer[int(at)]}.{tail}"
    unit = int(at) + (1 if side == "encoder" else -1)
    inside, _, tail = tail.removeprefix("block.").partition(".")
    part = ("snake1", "conv1", "snake2", "conv2")[int(inside)]
    return f"{side}.block.{place - 1}.res_unit{unit}.{part}.{tail}"
