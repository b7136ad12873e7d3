"""The file that tells a process its place in the ring, as mistral.rs has it, and what is added.

    {"master_ip": "10.0.0.1", "master_port": 1234, "port": 12345, "right_port": 12345,
     "right_ip": "10.0.0.2", "rank": 0, "world_size": 3}

`port` is where this rank listens for the one before it; the next one listens at `right_ip` and
`right_port`. `master_ip` and `master_port` are not needed here. Of our own are `secret_file`, a
path as seen from the file's folder, and `weights`, how much of the model each rank is to have: a
list of numbers, or "auto".
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError
from tramontane.parallel.meeting import MOST, Meeting

VARIABLE = "RING_CONFIG"
"""Of the environment."""
LONGEST = 1 << 16
"""Bytes of the file, and of a secret's."""
HERE = "127.0.0.1"
AUTO = "auto"


@dataclass(frozen=True)
class Place:
    """A rank's place in the ring."""

    rank: int
    size: int
    port: int
    right_ip: str
    right_port: int
    secret: bytes = field(default=b"", repr=False)
    weights: tuple[float, ...] | str = ()
    """Or "auto"."""


def read(path: Path) -> Place:
    """Raises UsageError that names the file and what is wrong with it."""
    try:
        found = json.loads(_content(path))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        return _place(found, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no configuration of a ring: {error}") from error


def place_of(meeting: Meeting) -> Place:
    """By the meeting's file, or on one machine by its port: each rank's is one above that of the
    rank before it. Raises UsageError."""
    if path := meeting.options.get("config"):
        place = read(Path(path))
    elif meeting.size > 1 and not 0 < meeting.port <= 65536 - meeting.size:
        raise UsageError(
            f"port={meeting.port}: a ring of {meeting.size} ranks needs as many ports from it on, "
            f"or a file that says where they are ({VARIABLE})"
        )
    else:
        next_port = meeting.port + (meeting.rank + 1) % meeting.size
        port = meeting.port + meeting.rank
        place = Place(meeting.rank, meeting.size, port, HERE, next_port)
    if (place.rank, place.size) != (meeting.rank, meeting.size):
        raise UsageError(
            f"{meeting.options['config']}: is for rank {place.rank} of {place.size}; this process "
            f"is rank {meeting.rank} of {meeting.size}"
        )
    secret = place.secret or meeting.secret
    if name := meeting.options.get("secret"):
        secret = read_secret(Path(name))
    return replace(place, secret=secret)


def read_secret(path: Path) -> bytes:
    """A file that only its owner reads; blanks and line ends around the secret do not count. Raises
    UsageError."""
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path}: others can read this secret: chmod 600 it")
        secret = _content(path).strip()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no secret: {error}") from error
    if not secret:
        raise UsageError(f"{path}: holds no secret")
    return secret


def float_of(name: str, text: str) -> float:
    """Raises UsageError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise UsageError(f"interconnect ring: {name}={text!r} must be seconds, up to a day")
    return value


def _place(found: dict[str, Any], path: Path) -> Place:
    size = _number(found, "world_size", 1, MOST)
    rank = _number(found, "rank", 0, size - 1)
    if found.get("master_port") is not None:
        _number(found, "master_port", 0, 65535)
    for key in ("right_ip", "master_ip", "secret_file"):
        if not isinstance(found.get(key, ""), str | None):
            raise ValueError(f"{key}={found[key]!r} must be a text")
    address = found.get("right_ip") or HERE
    secret = found.get("secret_file")
    return Place(
        rank=rank,
        size=size,
        port=_number(found, "port", 1, 65535),
        right_ip=HERE if address == "0.0.0.0" else address,
        right_port=_number(found, "right_port", 1, 65535),
        secret=read_secret(path.parent / secret) if secret else b"",
        weights=_weights(found.get("weights"), size),
    )


def _number(found: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{key}={value!r} must be a whole number from {least} to {most}")
    return value


def _weights(value: Any, size: int) -> tuple[float, ...] | str:
    if value is None:
        return ()
    if value == AUTO:
        return AUTO
    if (
        not isinstance(value, list)
        or len(value) != size
        or not all(isinstance(each, int | float) and 0 < each < 1e6 for each in value)
    ):
        raise ValueError(f'weights={value!r} must be {size} numbers above 0, or "{AUTO}"')
    return tuple(float(each) for each in value)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} bytes")
    return content
