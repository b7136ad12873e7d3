"""One .bin or .pth file. Only tensors are read from it: nothing in it is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout

from .checkpoint import TensorInfo


class PytorchFile:
    """A pickled dict of tensors, loaded with `weights_only=True`."""

    def __init__(self, path: Path) -> None:
        try:
            loaded = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"{path} holds more than tensors, and code from a checkpoint is never run; "
                "convert it to safetensors on a machine that trusts it"
            ) from error
        except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{path} is not a whole PyTorch weight file: {said}") from error
        if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
            raise CheckpointError(f"{path} must hold a dict of tensors")
        self._tensors: dict[str, Tensor] = loaded

    def infos(self) -> Mapping[str, TensorInfo]:
        return {
            name: TensorInfo(tuple(t.shape), str(t.dtype).removeprefix("torch."), t.nbytes)
            for name, t in self._tensors.items()
        }

    def read(self, name: str) -> Layout:
        return Dense(self._tensors[name])

    def close(self) -> None:
        self._tensors = {}
