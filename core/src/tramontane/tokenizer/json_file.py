"""JSON files that came with a model, read with limits and one-line errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError

SMALL = 64 << 20
"""Bytes that a configuration file may have; the largest real ones, with templates, have 3 MB."""

LARGE = 1 << 30
"""Bytes that a vocabulary file may have; the largest real ones have 40 MB."""


def read_bytes(path: Path, limit: int) -> bytes:
    """A whole file. Raises CheckpointError when it cannot be read or has more bytes than limit."""
    try:
        with path.open("rb") as file:
            # a read takes memory for all that it may get, so ask for what there is
            data = file.read(min(os.fstat(file.fileno()).st_size, limit) + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise CheckpointError(f"{path} has more than {limit} bytes, the limit for such a file")
    return data


def read_text(path: Path, limit: int) -> str:
    """A whole UTF-8 file. Raises CheckpointError as `read_bytes`, and where it is not UTF-8."""
    data = read_bytes(path, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}"
        ) from error


def read_object(path: Path, limit: int = SMALL) -> dict[str, Any]:
    """A file that holds one JSON object. Raises CheckpointError with the place of the damage."""
    text = read_text(path, limit)
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested too deeply") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} should hold a JSON object, not a {type(value).__name__}")
    return value


def read_if_there(path: Path) -> dict[str, Any]:
    """As `read_object`; empty when there is no such file."""
    return read_object(path) if path.exists() else {}
