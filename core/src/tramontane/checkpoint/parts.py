"""A checkpoint of several parts: a folder with `model_index.json`, each part in a subfolder."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tramontane.errors import CheckpointError, NoTokenizer
from tramontane.layouts import Layout
from tramontane.tokenizer.json_file import read_if_there, read_object
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Checkpoint, Header
from .weight_files import PARTS_INDEX, choose_weights

MOST_PARTS = 32
CLASS = "_class_name"


class PartsCheckpoint:
    """Implements `Checkpoint` and `HasParts`. Its own header has the tensors of all parts, named
    PART.NAME, and its configuration is the index."""

    names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path, open_part: Callable[[Path, str], Checkpoint]) -> None:
        """open_part: opens a subfolder, of a class that the index names."""
        self.folder = folder
        where = folder / PARTS_INDEX
        config = read_object(where)
        whole = config.get(CLASS)
        if not isinstance(whole, str) or not whole:
            raise CheckpointError(
                f"{where}: {CLASS!r} must name what the parts make together, such as "
                f'"FluxPipeline"; it is {reprlib.repr(whole)}'
            )
        self.parts: dict[str, Checkpoint] = {}
        listed = {name: value for name, value in config.items() if _names_class(value)}
        if len(listed) > MOST_PARTS:
            raise CheckpointError(f"{where}: {len(listed)} parts are too many")
        tensors = {}
        try:
            for name, (_, kind) in listed.items():
                inside = folder / name
                if set(name) & set("/\\\0") or name in ("", ".", ".."):
                    raise CheckpointError(f"{where}: {name!r} is no name of a folder")
                if not inside.is_dir():
                    raise CheckpointError(
                        f"{folder}: {PARTS_INDEX} names the part {name}, which is missing; "
                        "download the model again"
                    )
                if not choose_weights(path.name for path in inside.iterdir()):
                    continue  # a tokenizer, a schedule
                part = open_part(inside, kind)
                self.parts[name] = part
                for tensor, info in part.header.tensors.items():
                    tensors[f"{name}.{tensor}"] = info
        except BaseException:
            self.close()
            raise
        containers = {part.header.container for part in self.parts.values()}
        self.header = Header(folder, "+".join(sorted(containers)), "hf", whole, config, tensors)

    def read(self, name: str) -> Layout:
        part, _, tensor = name.partition(".")
        return self.parts[part].read(tensor)

    def tokenizer(self) -> Tokenizer:
        raise NoTokenizer(f"{self.folder}: each part has a tokenizer of its own, or none")

    def chat_template(self) -> str | None:
        return None

    def generation_defaults(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        for part in self.parts.values():
            part.close()


def _names_class(value: Any) -> bool:
    """Whether an entry of the index is a part: [library, class]."""
    return isinstance(value, list) and [type(each) for each in value] == [str, str]


def part_config(folder: Path) -> Mapping[str, Any]:
    """A part's own JSON file without weights: `scheduler_config.json` and the like."""
    for path in sorted(folder.glob("*config.json")):
        return read_if_there(path)
    return {}
