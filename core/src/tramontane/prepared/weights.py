"""A model's weights as they are after `prepare`, described for a file, and put back from one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tramontane.backend import Keep
from tramontane.layouts import Dense, Layout, nbytes

from .array_file import ArrayFile, Damaged, Described

if TYPE_CHECKING:
    from tramontane.checkpoint.weight_map import Slot

SMALL = 1 << 20
"""Bytes up to which plain numbers are copied out of the map, where they would share pages."""
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
                  torch.float8_e5m2, torch.int64, torch.int32, torch.int8, torch.uint8)
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """What a file is to hold. packed: bytes of matrices that are not as their checkpoint has
    them."""

    about: Mapping[str, Any]
    described: Described
    packed: int

    @property
    def nbytes(self) -> int:
        return self.described.nbytes


def describe(
    wanted: Mapping[str, Slot], plain: Collection[str], sample: Tensor, keep: Keep
) -> Weights | None:
    """Weights of a model's places; None where one is in a layout that cannot be kept. plain: places
    of which the checkpoint has the plain numbers. sample: see `Loaded`."""
    described, packed = Described(), 0
    places: dict[str, Any] = {}
    try:
        for path, slot in wanted.items():
            value = getattr(slot.module, slot.name)
            if isinstance(value, Tensor):
                places[path] = {"tensor": _plain(value.detach(), described)}
            elif isinstance(value, Dense):
                places[path] = {"dense": _plain(value.data, described)}
                packed += 0 if path in plain else nbytes(value)
            elif (told := keep.describe(value, described.put)) is not None:
                places[path] = {"packed": told}
                packed += nbytes(value)
            else:
                return None
        about = {"places": places, "sample": _plain(sample, described)}
    except ValueError:  # an array that has no place in a file
        return None
    return Weights(about, described, packed)


def fits(file: ArrayFile, wanted: Mapping[str, Slot]) -> bool:
    """Whether a file has weights for exactly these places."""
    places = file.about.get("places")
    return isinstance(places, dict) and places.keys() == wanted.keys()


def restore(file: ArrayFile, wanted: Mapping[str, Slot], keep: Keep) -> Tensor:
    """Put a file's weights where they belong, all or none; returns the sample. Raises Damaged."""
    if not fits(file, wanted):
        raise Damaged("its weights are not the model's")
    places = file.about["places"]
    try:
        values = {path: _value(told, file, keep) for path, told in places.items()}
        sample = _tensor(file.about.get("sample"), file).clone()
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise Damaged(f"its description does not say what a weight is: {error!r}") from error
    for path, value in values.items():
        slot = wanted[path]
        if tuple(value.shape) != slot.shape or isinstance(value, Tensor) == slot.packs:
            raise Damaged(f"{path} is {tuple(value.shape)}, and should be {slot.shape}")
    for path, value in values.items():
        if isinstance(value, Tensor):
            value = nn.Parameter(value, requires_grad=False)
        setattr(wanted[path].module, wanted[path].name, value)
    return sample


def _value(told: Mapping[str, Any], file: ArrayFile, keep: Keep) -> Tensor | Layout:
    ((kind, about),) = told.items()
    if kind == "packed":
        return keep.restore(about, file.get)
    tensor = _tensor(about, file)
    return Dense(tensor) if kind == "dense" else tensor


def _plain(tensor: Tensor, described: Described) -> list[Any]:
    """A tensor as a list that JSON can say: the number of its bytes' array, dtype, shape."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES or tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ValueError(f"a tensor of {tensor.dtype}")
    raw: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return [described.put(raw), name, list(tensor.shape)]


def _tensor(told: Any, file: ArrayFile) -> Tensor:
    number, name, shape = told
    raw = file.get(number)
    if raw.dtype != np.uint8 or raw.size != math.prod(shape) * DTYPES[name].itemsize:
        raise Damaged(f"a tensor of {raw.size} bytes cannot be {name} {shape}")
    held = raw.reshape(-1)
    tensor = torch.from_numpy(held.copy() if held.nbytes < SMALL else held)
    return tensor.view(DTYPES[name]).view(tuple(shape))
