"""Models in several files: `name-00001-of-00003.gguf` and so on.

The first part has the metadata; each has `split.no`, counted from 0, and `split.count`.
Source: llama.cpp's gguf-split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tramontane.errors import CheckpointError

from .header import FileHeader, read_header, scalar
from .mapped import Mapped

NUMBERED = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf")
MOST_PARTS = 4096


@dataclass(frozen=True)
class Part:
    """One file, mapped and parsed."""

    file: Mapped
    header: FileHeader


def open_parts(path: Path) -> list[Part]:
    """All files of the model that `path` belongs to, in order.

    Raises CheckpointError when a part is missing, another model's, or there twice.
    """
    part = open_part(path)
    count = _number(part, "split.count")
    if count <= 1:
        return [part]
    if count > MOST_PARTS:
        raise CheckpointError(f"{path}: split.count={count} is more than {MOST_PARTS}")
    named = NUMBERED.fullmatch(path.name)
    if named is None or int(named["count"]) != count:
        raise CheckpointError(
            f"{path}: one of {count} parts, but not named NAME-00001-of-{count:05}.gguf, "
            "so that the others cannot be found"
        )
    paths = [path.with_name(f"{named['stem']}-{i + 1:05}-of-{count:05}.gguf") for i in range(count)]
    for number, sibling in enumerate(paths, 1):
        if not sibling.exists():
            raise CheckpointError(f"{path}: part {number} of {count} is missing: {sibling.name}")
    parts = [part if sibling == path else open_part(sibling) for sibling in paths]
    _check(parts)
    return parts


def open_part(path: Path) -> Part:
    """One file. Raises ModelNotFound, CheckpointError."""
    file = Mapped(path)
    return Part(file, read_header(file.buffer, path))


def _number(part: Part, key: str) -> int:
    value = scalar(part.header.metadata, key, part.header.path)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CheckpointError(f"{part.header.path}: {key}={value!r} is not a count")
    return value


def _check(parts: list[Part]) -> None:
    owners: dict[str, Path] = {}
    for index, part in enumerate(parts):
        path = part.header.path
        if (count := _number(part, "split.count")) != len(parts):
            raise CheckpointError(f"{path}: split.count={count}, another part says {len(parts)}")
        if (number := _number(part, "split.no")) != index:
            raise CheckpointError(f"{path}: split.no={number}, its name says {index}")
        for name in part.header.tensors:
            if name in owners:
                raise CheckpointError(f"{path}: tensor {name!r} is also in {owners[name].name}")
            owners[name] = path
    first = parts[0]
    total = _number(first, "split.tensors.count")
    if "split.tensors.count" in first.header.metadata and total != len(owners):
        raise CheckpointError(
            f"{first.header.path}: split.tensors.count={total}, the parts hold {len(owners)}"
        )
