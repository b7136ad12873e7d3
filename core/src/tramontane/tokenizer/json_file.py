"""Read a model's JSON files, with size limits and one-line errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError

SMALL = 64 << 20
"""Maximum bytes of a configuration file; the largest real ones, with templates, have 3 MB."""

LARGE = 1 << 30
"""Maximum bytes of a vocabulary file; the largest real ones have 40 MB."""


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a complete file. Raises CheckpointError if it cannot be read or is larger than limit."""
    try:
        with path.open("rb") as file:
            # `read` allocates the requested size, so request no more than the file's size
            data = file.read(min(os.fstat(file.fileno()).st_size, limit) + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > limit:
        raise CheckpointError(f"{path} has more than {limit} bytes, the limit for such a file")
    return data


def read_text(path: Path, limit: int) -> str:
    """Read a complete UTF-8 file. Raises CheckpointError as `read_bytes`, and for invalid UTF-8."""
    data = read_bytes(path, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}"
        ) from error


def read_object(path: Path, limit: int = SMALL) -> dict[str, Any]:
    """Read a file with one JSON object. Raises CheckpointError with the position of the error."""
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
    """Like `read_object`; an empty dict if there is no such file."""
    return read_object(path) if path.exists() else {}
