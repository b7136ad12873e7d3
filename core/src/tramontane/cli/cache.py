"""`tramontane cache`: what is kept so that models start sooner."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from pathlib import Path

from tramontane.errors import ConfigError, UsageError
from tramontane.memory import readable
from tramontane.prepared import shelf
from tramontane.prepared.array_file import ArrayFile, Damaged
from tramontane.system import paths

from .color import paint
from .parser import Parser

SUMMARY = """\
Show what is kept so that models start sooner: compiled kernels, and weights in the order in which
kernels read them."""
EXAMPLES = """\
examples:
  tramontane cache                 what there is, and how much it may take
  tramontane cache trim 10GB       remove the prepared models that were used longest ago
  tramontane cache clear           remove all of them; --kernels: compiled kernels too
  tramontane cache limit 50GB      how much prepared models may take; auto: a quarter of the disk
  tramontane cache off             keep none from now on; on: keep them again
"""
ACTIONS = ("show", "trim", "clear", "limit", "on", "off")
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def run(argv: list[str]) -> int:
    """Do what the action says."""
    parser = Parser(
        "tramontane cache",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", default="show", choices=ACTIONS, help="default: show")
    parser.add_argument("size", nargs="?", metavar="SIZE", help="of trim and limit, such as 10GB")
    parser.add_argument("--kernels", action="store_true", help="clear: compiled kernels too")
    parser.add_argument("--json", action="store_true", help="show: print a JSON object instead")
    options = parser.parse_args(argv)
    action = options.action
    if (options.size is not None) != (action in ("trim", "limit")):
        needs = "needs a size, such as 10GB" if options.size is None else "takes no size"
        raise UsageError(f"cache {action} {needs}")
    if options.kernels and action != "clear":
        raise UsageError("--kernels goes with cache clear")
    if action == "show":
        _show(as_json=options.json)
    elif action == "trim":
        _removed(shelf.trim(_bytes(options.size)))
    elif action == "clear":
        _removed(shelf.trim(0))
        if options.kernels:
            _clear_kernels()
    else:
        _change(action, options.size)
    return 0


def _show(*, as_json: bool) -> None:
    models = [(each, _name(each.path)) for each in shelf.shelved()]
    kernels, on, limit = _kernels(), shelf.is_on(), shelf.limit()
    if as_json:
        listed = [
            {"model": name, "path": str(each.path), "bytes": each.bytes, "last_used": each.used}
            for each, name in models
        ]
        told = {"folder": str(shelf.folder()), "on": on, "limit": limit, "models": listed}
        print(json.dumps({**told, "kernels": kernels}, indent=2))
        return
    print(paint(f"{'PREPARED MODEL':<40}  {'SIZE':>8}  LAST USED", "bold"))
    for each, name in models:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
        print(f"{name:<40}  {readable(each.bytes):>8}  {used}")
    total = sum(each.bytes for each, _ in models)
    said = f"up to {readable(limit)}" if on else "off: `tramontane cache on` keeps models again"
    print(f"{readable(total)} in {shelf.folder()}, {said}; {readable(kernels)} of kernels")


def _name(path: Path) -> str:
    """The checkpoint that a file was made from."""
    try:
        return str(ArrayFile(path).key.get("name"))
    except (OSError, Damaged):
        return f"{path.name} (damaged)"


def _removed(files: list[shelf.Shelved]) -> None:
    freed = readable(sum(each.bytes for each in files))
    print(f"removed {len(files)} prepared model{'' if len(files) == 1 else 's'}, {freed} freed")


def _kernel_folder() -> Path:
    return paths.cache() / "numba"


def _kernels() -> int:
    files = (path for path in _kernel_folder().rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def _clear_kernels() -> None:
    freed = _kernels()
    shutil.rmtree(_kernel_folder(), ignore_errors=True)
    print(f"removed compiled kernels, {readable(freed)} freed")


def _change(action: str, size: str | None) -> None:
    try:
        if action == "limit":
            shelf.change(limit=-1 if size == "auto" else _bytes(size))
        else:
            shelf.change(on=action == "on")
    except OSError as error:
        raise ConfigError(f"{shelf.folder()} cannot be written: {error.strerror}") from error
    if action == "limit":
        print(f"prepared models may take {readable(shelf.limit())}")
    elif action == "on":
        print("models are kept as they are prepared")
    else:
        print("no more models are kept, nor used; `tramontane cache clear` removes those there are")


def _bytes(size: str | None) -> int:
    """A number of bytes, such as 10GB or 500000. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", size or "", re.IGNORECASE)
    unit = found[2].upper() if found else "?"
    unit = f"{unit}B" if unit in ("K", "M", "G", "T") else "" if unit == "B" else unit
    if found is None or unit not in UNITS:
        raise UsageError(f"{size!r} is not a size, such as 10GB")
    return int(float(found[1]) * UNITS[unit])
