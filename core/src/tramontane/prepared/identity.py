"""What a prepared model is known by: the files it was made from, and what it was made for.

A file is known by its size, its time of change, and a hash of some of its content, so that one that
was replaced under the same name is another. Code is known by the sizes and times of its files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PART = re.compile(r"(.*)-\d{5}-of-(\d{5})(\..+)")
KINDS = {".safetensors", ".json", ".bin", ".pt", ".pth", ".gguf"}
"""Files of a folder that say something of weights."""
MOST_FILES = 4096
HEAD, PIECE, PIECES = 64 << 10, 4 << 10, 32
"""Bytes of a file that are hashed: its beginning, and pieces evenly spread, the last at its end."""


def files_of(path: Path) -> list[Path]:
    """The files of a checkpoint, which is a file, one of several parts, or a folder. Raises
    OSError."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in KINDS and each.is_file())
    if named := PART.fullmatch(path.name):
        stem, count, end = named.groups()
        return [path.with_name(f"{stem}-{i + 1:05}-of-{count}{end}") for i in range(int(count))]
    return [path]


def identity(path: Path) -> str | None:
    """Of a checkpoint, 16 letters; None where it cannot be told."""
    digest = hashlib.sha256()
    try:
        files = files_of(path)
        if not 0 < len(files) <= MOST_FILES:
            return None
        for file in files:
            digest.update(repr((file.name, *_content(file))).encode())
    except OSError:
        return None
    return digest.hexdigest()[:16]


def _content(path: Path) -> tuple[int, int, str]:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        digest.update(file.read(HEAD))
        last = status.st_size - PIECE
        for index in range(1, PIECES + 1):
            place = last * index // PIECES
            if place >= HEAD:
                file.seek(place)
                digest.update(file.read(PIECE))
    return status.st_size, status.st_mtime_ns, digest.hexdigest()


def key_name(key: Mapping[str, Any]) -> str:
    """16 letters for all that a prepared model was made for."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def code_of(modules: Iterable[str]) -> str:
    """A fingerprint of the packages that modules belong to."""
    digest = hashlib.sha256()
    for package in sorted({module.partition(".")[0] for module in modules}):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            digest.update(repr(_sources(folder)).encode())
    return digest.hexdigest()[:16]


def _sources(folder: str) -> Sequence[tuple[str, int, int]]:
    found = []
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            if name.endswith(".py"):
                status = os.stat(os.path.join(at, name))
                place = os.path.relpath(os.path.join(at, name), folder)
                found.append((place, status.st_size, status.st_mtime_ns))
    return sorted(found)
