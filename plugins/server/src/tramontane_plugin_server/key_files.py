"""API keys of options and of files, with their names and limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from tramontane.errors import ConfigError

NAMED = re.compile(r"([A-Za-z0-9][\w.@-]{0,63}):\s+(\S.*)", re.ASCII)
WHOLE = re.compile(r"0*[1-9][0-9]{0,11}")
LIMIT = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True)
class Key:
    """One API key. name: whose it is, in the log; empty: not stated. The limits are per minute and
    shared by all keys of one name; None: no limit."""

    value: str = field(repr=False)
    name: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


LIMITS = tuple(one.name for one in fields(Key))[2:]


def keys_of(given: Iterable[str], path: Path | None) -> frozenset[Key]:
    """All keys: those given and those of a file. Raises ConfigError."""
    found = [Key(key.strip()) for key in given]
    if Key("") in found:
        raise ConfigError("an API key is empty: leave the option out for a server without keys")
    if path is not None:
        found += _read(path)
    return frozenset(found)


def _read(path: Path) -> list[Key]:
    """A line per key, `KEY` or `NAME: KEY [requests_per_minute=N] [tokens_per_minute=N]`; blank
    lines and those that begin with # are skipped. No error shows a key."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read keys from {path}: {error}") from error
    found: dict[str, Key] = {}
    limits: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        where = f"{path}, line {number}"
        key = _parse(line.strip(), where)
        if found.setdefault(key.value, key) != key:
            raise ConfigError(f"{where}: this key is in the file already, under another name")
        other = limits.setdefault(key.name, key)
        if key.name and any(getattr(key, name) != getattr(other, name) for name in LIMITS):
            raise ConfigError(f"{where}: keys named {key.name!r} have different limits")
    if not found:
        raise ConfigError(f"{path} holds no key")
    return list(found.values())


def _parse(line: str, where: str) -> Key:
    named = NAMED.fullmatch(line)
    name, rest = (named[1], named[2]) if named else ("", line)
    value, *options = rest.split()
    if not named and options:
        raise ConfigError(
            f"{where}: a key has no blanks; write KEY, or NAME: KEY with limits behind it. A "
            "comment is on a separate line, which begins with #"
        )
    limits: dict[str, int] = {}
    for option in options:
        match = LIMIT.fullmatch(option)
        if match is None or match[1] not in LIMITS:
            raise ConfigError(f"{where}: after the key only {' and '.join(LIMITS)} may follow")
        if match[1] in limits:
            raise ConfigError(f"{where}: {match[1]} is given twice")
        if not WHOLE.fullmatch(match[2]):
            raise ConfigError(f"{where}: {option!r:.60}: must be an integer of at least 1")
        limits[match[1]] = int(match[2])
    return Key(value, name, **limits)
