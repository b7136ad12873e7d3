"""A file of weights without a configuration, which the names of its tensors tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tramontane.errors import CheckpointError, NoTokenizer
from tramontane.layouts import Layout
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.tokenizer.tokenizer import Tokenizer

from .checkpoint import Checkpoint, Header, TensorInfo
from .metadata import FILE
from .safetensors_file import SafetensorsFile


class PartOfFile:
    """The tensors below a prefix, as a checkpoint. Implements `Checkpoint`."""

    names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, file: SafetensorsFile, architecture: str, prefix: str) -> None:
        self._file, self._prefix = file, prefix
        tensors = {
            name.removeprefix(prefix): info
            for name, info in file.infos().items()
            if name.startswith(prefix)
        }
        self.header = Header(file.path, "safetensors", FILE, architecture, {}, tensors)

    def read(self, name: str) -> Layout:
        return self._file.read(self._prefix + name)

    def file_metadata(self, names: Any) -> Mapping[str, str]:
        """Implements `HasFileMetadata`."""
        return self._file.metadata

    def tokenizer(self) -> Tokenizer:
        raise NoTokenizer(f"{self.header.path} is a file of weights, without a tokenizer")

    def chat_template(self) -> str | None:
        return None

    def generation_defaults(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        self._file.close()


class FileOfParts(PartOfFile):
    """Several in one file. Implements `HasParts` too."""

    def __init__(self, file: SafetensorsFile, whole: str, prefixes: Mapping[str, str]) -> None:
        """whole: the architecture that the others are parts of. prefixes: by architecture."""
        super().__init__(file, whole, prefixes[whole])
        self.parts: Mapping[str, Checkpoint] = {
            name: PartOfFile(file, name, prefix) for name, prefix in prefixes.items()
        }


def single_file(path: Path, registry: Registry) -> Checkpoint | None:
    """The file as what an installed architecture says that its names mean; None where none knows
    them. Raises CheckpointError for a damaged file, and for one that several may mean."""
    file = SafetensorsFile(path)
    try:
        found = {
            offer.name: (offer, prefix)
            for offer in registry.all(Architecture)
            if offer.told_by and (prefix := prefix_of(offer, file.infos())) is not None
        }
        if not found:
            file.close()
            return None
        if len(found) == 1:
            ((name, (_, prefix)),) = found.items()
            return PartOfFile(file, name, prefix)
        wholes = [name for name, (offer, _) in found.items() if offer.task]
        if len(wholes) != 1:
            raise CheckpointError(
                f"{path} may be a file of {' or '.join(sorted(wholes or found))}, and nothing in "
                "it says of which: use a folder with a configuration"
            )
        return FileOfParts(file, wholes[0], {name: at for name, (_, at) in found.items()})
    except BaseException:
        file.close()
        raise


def prefix_of(offer: Architecture, tensors: Mapping[str, TensorInfo]) -> str | None:
    """What the names of an architecture's tensors begin with in a file; None: they are not there.
    Of several prefixes the shortest."""
    first, *others = offer.told_by
    ends = [name.removesuffix(first) for name in tensors if name.endswith(first)]
    for prefix in sorted(ends, key=len):
        whole = not prefix or prefix.endswith(".")
        if whole and all(prefix + other in tensors for other in others):
            return prefix
    return None
