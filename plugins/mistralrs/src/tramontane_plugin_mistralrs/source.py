"""A model's name for `-m`, of their model ids and file names."""

from __future__ import annotations

import re
from pathlib import Path

from tramontane.errors import UsageError

PART = re.compile(r"(.*)-\d{5}-of-(\d{5})(\.\w+)$")


def source(model: str, file: str | None) -> str:
    """A folder or org/name, and perhaps a file of it, or several parts of one, divided by ";"."""
    if file is None:
        return model
    first = one_of(file)
    if Path(model).expanduser().is_dir():
        return str(Path(model) / first)
    if Path(model).expanduser().is_file():
        raise UsageError(f"{model} is a file: give its folder with -m, and {first} with -f")
    return f"{model}:{first}" if _is_hub_like(model) else str(Path(model) / first)


def one_of(files: str) -> str:
    """The file that stands for all of its parts. Raises UsageError for files that are no parts."""
    names = [name.strip() for name in files.split(";") if name.strip()]
    if not names:
        raise UsageError(f"{files!r} names no file")
    parts = {(found[1], found[2], found[3]) for name in names if (found := PART.match(name))}
    whole = len(parts) == 1 and all(PART.match(name) for name in names)
    if len(names) > 1 and not whole:
        raise UsageError(
            f"{'; '.join(names)} are not the parts of one model, as NAME-00001-of-00002.gguf: "
            "name the first"
        )
    return sorted(names)[0]


def _is_hub_like(model: str) -> bool:
    return model.count("/") == 1 and not model.startswith((".", "/", "~"))


def served_name(model: str) -> str:
    """What requests call it: the id as it was given, of a folder its name."""
    path = Path(model).expanduser()
    return path.resolve().name if path.exists() and path.resolve().name else model
