"""One .bin or .pth file. Only tensors are read from it: nothing in it is executed."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.sanitize import one_line

from .checkpoint import TensorInfo

ASKED = re.compile(r"GLOBAL ([\w.]+)")
"""What torch says of a class or function that is neither a tensor's nor a plain value's."""


class PytorchFile:
    """A pickled dict of tensors, loaded with `weights_only=True`."""

    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        with path.open("rb"):  # raises PermissionError, instead of calling the file damaged
            pass
        loaded = _load(path)
        if not isinstance(loaded, dict) or not all(map(_named_tensor, loaded.items())):
            raise CheckpointError(
                f"{path} must hold a dict of dense tensors by name, as `state_dict()` gives it"
            )
        self._tensors: dict[str, Tensor] = {name: t.detach() for name, t in loaded.items()}

    def infos(self) -> Mapping[str, TensorInfo]:
        return {
            name: TensorInfo(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.nbytes)
            for name, t in self._tensors.items()
        }

    def read(self, name: str) -> Layout:
        return Dense(self._tensors[name])

    def close(self) -> None:
        self._tensors = {}


def _load(path: Path) -> Any:
    try:
        # files written before torch 1.6 are not zip archives, and cannot be mapped
        is_zip = zipfile.is_zipfile(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are rejected below, with a fix
            return torch.load(path, map_location="cpu", mmap=is_zip, weights_only=True)
    except pickle.UnpicklingError as error:
        named = ASKED.search(str(error))
        held = f"asks for {one_line(named[1], 80)}" if named else "holds more than tensors"
        raise CheckpointError(
            f"{path} {held}, or is damaged; code from a checkpoint is never run: use a safetensors "
            "version, or save it as one on a machine that trusts it, with the library that made it"
        ) from error
    except Exception as error:
        # a damaged pickle can raise any exception; it is chained
        detail = one_line(str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__)
        raise CheckpointError(
            f"{path} is not a whole PyTorch weight file: {detail}; "
            "if it was downloaded, download it again"
        ) from error


def _named_tensor(item: tuple[Any, Any]) -> bool:
    name, value = item
    return isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided
