"""A Hugging Face folder: config.json with safetensors or PyTorch weight files."""

from __future__ import annotations

import re
import reprlib
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from tramontane.block_format import Stored
from tramontane.config.decoder import OUTSIDE
from tramontane.errors import CheckpointError
from tramontane.layouts import Layout
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import read_if_there, read_object
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Header, ReadsStored, TensorInfo
from .weight_files import find_weights

ENCODERS = {"vision_config": re.compile(r"vis|^vpm\."), "audio_config": re.compile("audio")}
"""Configurations of encoders, which are left out of a checkpoint without their tensors, and what
names of these have."""


class WeightFile(Protocol):
    """One file of weights."""

    metadata: Mapping[str, str]

    def infos(self) -> Mapping[str, TensorInfo]: ...

    def read(self, name: str) -> Layout: ...

    def close(self) -> None: ...


class FolderCheckpoint:
    """A checkpoint whose names are the model's own paths. Implements `Checkpoint`."""

    names: Mapping[str, str] = MappingProxyType({})
    _prefix = ""

    def __init__(
        self, folder: Path, weights: Iterable[Path] | None = None, kind: str | None = None
    ) -> None:
        """kind: the class of a part, as the whole's index names it; None: as config.json says."""
        self.folder = folder
        config = read_object(folder / "config.json")
        names = config.get("architectures")
        if not names and isinstance(alone := config.get("_class_name"), str):
            names = [alone]
        if kind is not None:
            names = [kind]
        if not (isinstance(names, list) and names and isinstance(names[0], str)):
            raise CheckpointError(
                f"{folder / 'config.json'}: 'architectures' must name the model's class, "
                f'such as ["NameForCausalLM"]; it is {reprlib.repr(names)}'
            )
        tied = False
        flat = {"hidden_size", "num_hidden_layers"} <= config.keys()  # some repeat the former alone
        if isinstance(text := config.get("text_config"), Mapping) and not flat:
            tied = config.get("tie_word_embeddings") is True
            outside = {name: config[name] for name in text if name in config}
            config = {**config, **text, OUTSIDE: outside}
        paths = sorted(weights) if weights is not None else find_weights(folder)
        self._files: list[WeightFile] = []
        self._owner: dict[str, WeightFile] = {}
        infos: dict[str, TensorInfo] = {}
        try:
            for path in paths:
                file = open_weights(path)
                self._files.append(file)
                for name, info in file.infos().items():
                    if name in infos:
                        raise CheckpointError(
                            f"{path}: {one_line(name)} is also in another file of {folder}"
                        )
                    infos[name] = info
                    self._owner[name] = file
        except BaseException:
            self.close()
            raise
        if tied and not any("lm_head." in name for name in infos):
            config["tie_word_embeddings"] = True  # the whole decides, whatever its text part says
        for key, part in ENCODERS.items():
            if key in config and not any(part.search(name) for name in infos):
                config = {name: value for name, value in config.items() if name != key}
        container = "safetensors" if paths[0].suffix == ".safetensors" else "pytorch"
        self.header = Header(folder, container, "hf", names[0], config, infos)

    def put_below(self, prefix: str, architecture: str) -> None:
        """Take the folder for one of an architecture whose names begin with `prefix`, of which the
        files have only the part below it, without a matrix for logits."""
        header = self.header
        infos = {f"{prefix}{name}": info for name, info in header.tensors.items()}
        config = {**header.config, "tie_word_embeddings": True}
        self._prefix = prefix
        self.header = replace(header, architecture=architecture, config=config, tensors=infos)

    def read(self, name: str) -> Layout:
        name = name.removeprefix(self._prefix)
        return self._owner[name].read(name)

    def stored(self, name: str) -> Stored | None:
        """Implements `ReadsStored`, for files that implement it."""
        name = name.removeprefix(self._prefix)
        file = self._owner[name]
        return file.stored(name) if isinstance(file, ReadsStored) else None

    def file_metadata(self, names: Iterable[str]) -> Mapping[str, str]:
        """Implements `HasFileMetadata`."""
        own = [name.removeprefix(self._prefix) for name in names]
        files = {id(self._owner[name]): self._owner[name] for name in own}.values()
        kept: list[Any] = [file.metadata for file in files]
        return kept[0] if len(kept) == 1 else ChainMap(*kept)

    def tokenizer(self) -> Tokenizer:
        from tramontane.tokenizer.files import from_folder

        return from_folder(self.folder)

    def chat_template(self) -> str | None:
        from tramontane.chat.choose import choose_template

        return choose_template(self.folder, None, None)

    def tool_template(self) -> str | None:
        """Implements `HasToolTemplate`."""
        from tramontane.chat.choose import choose_template

        return choose_template(self.folder, None, None, tools=True)

    def processor(self) -> Mapping[str, Any]:
        """Implements `HasProcessor`."""
        newer = read_if_there(self.folder / "processor_config.json")
        older = read_if_there(self.folder / "preprocessor_config.json")
        nested = {"image_processor", "feature_extractor"} & newer.keys()
        found = newer if nested else {**older, **newer}
        videos = read_if_there(self.folder / "video_preprocessor_config.json")
        return {"video_processor": videos, **found} if videos else found

    def generation_defaults(self) -> Mapping[str, Any]:
        return read_if_there(self.folder / "generation_config.json")

    def close(self) -> None:
        for file in self._files:
            file.close()


def open_weights(path: Path) -> WeightFile:
    if path.suffix == ".safetensors":
        from .safetensors_file import SafetensorsFile

        return SafetensorsFile(path)
    from .pytorch_file import PytorchFile

    return PytorchFile(path)
