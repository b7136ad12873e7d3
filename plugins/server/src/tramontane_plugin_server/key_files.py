"""API keys, of options and of files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tramontane.errors import ConfigError


def keys_of(given: Iterable[str], path: Path | None) -> frozenset[str]:
    """All keys: those given and those of a file. Raises ConfigError."""
    found = {key.strip() for key in given}
    if "" in found:
        raise ConfigError("an API key is empty: leave the option out for a server without keys")
    if path is not None:
        found |= _read(path)
    return frozenset(found)


def _read(path: Path) -> set[str]:
    """A key per line; blank lines and those that begin with # are none."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read keys from {path}: {error}") from error
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if len(key.split()) > 1:
            raise ConfigError(
                f"{path}, line {number}: a key has no blanks; a comment has a line of its own, "
                "which begins with #"
            )
        found.add(key)
    if not found:
        raise ConfigError(f"{path} holds no key")
    return found
