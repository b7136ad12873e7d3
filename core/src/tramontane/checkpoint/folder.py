"""A Hugging Face folder: config.json beside safetensors or PyTorch weight files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from tramontane.errors import CheckpointError
from tramontane.layouts import Layout
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Header, TensorInfo

JSON_LIMIT = 256 << 20
"""Bytes; the largest real tokenizer.json has about 40 MB, the largest index about 20."""


class WeightFile(Protocol):
    """One file of weights."""

    def infos(self) -> Mapping[str, TensorInfo]: ...

    def read(self, name: str) -> Layout: ...

    def close(self) -> None: ...


class FolderCheckpoint:
    """A checkpoint whose names are the model's own paths. Implements `Checkpoint`."""

    names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path, weights: Iterable[Path] | None = None) -> None:
        self.folder = folder
        config = read_json(folder / "config.json")
        names = config.get("architectures")
        if not (isinstance(names, list) and names and isinstance(names[0], str)):
            raise CheckpointError(
                f"{folder / 'config.json'}: 'architectures' must name the model's class, "
                f'such as ["LlamaForCausalLM"]; it is {names!r}'
            )
        if isinstance(text := config.get("text_config"), Mapping) and "hidden_size" not in config:
            config = {**config, **text}
        paths = sorted(weights) if weights is not None else find_weights(folder)
        self._files: list[WeightFile] = []
        self._owner: dict[str, WeightFile] = {}
        infos: dict[str, TensorInfo] = {}
        try:
            for path in paths:
                file = _open_weights(path)
                self._files.append(file)
                for name, info in file.infos().items():
                    if name in infos:
                        raise CheckpointError(f"{path}: {name} is also in another file of {folder}")
                    infos[name] = info
                    self._owner[name] = file
        except CheckpointError:
            self.close()
            raise
        container = "safetensors" if paths[0].suffix == ".safetensors" else "pytorch"
        self.header = Header(folder, container, "hf", names[0], config, infos)

    def read(self, name: str) -> Layout:
        return self._owner[name].read(name)

    def tokenizer(self) -> Tokenizer:
        from tramontane.tokenizer.files import from_folder

        return from_folder(self.folder)

    def chat_template(self) -> str | None:
        from tramontane.chat.choose import choose_template

        return choose_template(self.folder, None, None)

    def generation_defaults(self) -> Mapping[str, Any]:
        path = self.folder / "generation_config.json"
        return read_json(path) if path.exists() else {}

    def close(self) -> None:
        for file in self._files:
            file.close()


def find_weights(folder: Path) -> list[Path]:
    """The weight files of a folder: those its index names, or the only ones there are."""
    for suffix, index in (
        (".safetensors", "model.safetensors.index.json"),
        (".bin", "pytorch_model.bin.index.json"),
    ):
        if (folder / index).exists():
            return _indexed(folder, index)
        found = sorted(
            path for path in folder.glob(f"*{suffix}") if path.name != "training_args.bin"
        )
        plain = [path for path in found if path.stem in ("model", "pytorch_model")]
        if plain or found:
            return plain or found
    found = sorted([*folder.glob("*.pth"), *folder.glob("*.pt")])
    if found:
        return found
    raise CheckpointError(
        f"{folder} has config.json but no weights: looked for *.safetensors, *.bin and *.pth"
    )


def _indexed(folder: Path, index: str) -> list[Path]:
    table = read_json(folder / index).get("weight_map")
    if not isinstance(table, Mapping) or not all(isinstance(n, str) for n in table.values()):
        raise CheckpointError(f"{folder / index}: 'weight_map' must map tensors to file names")
    paths = []
    for name in sorted(set(table.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{folder / index}: {name!r} is not a file name")
        if not (folder / name).exists():
            raise CheckpointError(f"{folder}: {index} names {name}, which is missing")
        paths.append(folder / name)
    return paths


def _open_weights(path: Path) -> WeightFile:
    if path.suffix == ".safetensors":
        from .safetensors_file import SafetensorsFile

        return SafetensorsFile(path)
    from .pytorch_file import PytorchFile

    return PytorchFile(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError naming the file and the place."""
    try:
        size = path.stat().st_size
        if size > JSON_LIMIT:
            raise CheckpointError(f"{path} has {size} bytes, more than a configuration may have")
        value = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object, not {type(value).__name__}")
    return value
