"""`tramontane list`: the models that run without a download."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tramontane.model.source import bundled
from tramontane.plugin import Model
from tramontane.registry import Registry

from .color import paint
from .options import cache_folder
from .parser import Parser

SUMMARY = "List the models on this machine: installed ones, and those in the hub's cache."
DAY = 86400


def run(argv: list[str]) -> int:
    """Print names for -m, sizes, and when each was last used."""
    parser = Parser("tramontane list", description=SUMMARY)
    parser.add_argument("--hf-cache", type=Path, metavar="DIR", help="the folder of downloads")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    parser.add_argument(
        "--known", action="store_true", help="the short names of models on the hub instead"
    )
    options = parser.parse_args(argv)
    if options.known:
        return _known(as_json=options.json)
    from tramontane.hub.stored_models import StoredModel, size_on_disk, stored_models
    from tramontane.memory import readable

    registry = Registry.from_environment()
    installed = []
    for offer in registry.all(Model):
        path = bundled(offer)
        installed.append(StoredModel(offer.name, size_on_disk(path), 0.0, path))
    cache = cache_folder(options)
    found = [(model, "installed") for model in installed]
    found += [(model, "") for model in stored_models(cache)]
    if options.json:
        listed = [
            {
                "name": model.name, "bytes": model.bytes, "path": str(model.path),
                "installed": bool(kind), "complete": model.complete,
                "last_used": model.used or None,
            }
            for model, kind in found
        ]  # fmt: skip
        print(json.dumps({"cache": str(cache), "models": listed}, indent=2))
        return 0
    rows = [("MODEL", "SIZE", "LAST USED")]
    for model, kind in found:
        used = kind or _ago(model.used) + ("" if model.complete else ", incomplete")
        rows.append((model.name, readable(model.bytes), used))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for index, (name, size, used) in enumerate(rows):
        line = f"{name:<{widths[0]}}  {size:>{widths[1]}}  {used}"
        print(line if index else paint(line, "bold"))
    return 0


def _known(*, as_json: bool) -> int:
    from tramontane.hub.known import known_models

    names = known_models()
    if as_json:
        print(json.dumps(names, indent=2))
        return 0
    width = max(map(len, names))
    for name, place in names.items():
        print(f"{name:<{width}}  {place}")
    return 0


def _ago(used: float) -> str:
    days = int(max(0.0, time.time() - used) // DAY)
    return "today" if not days else f"{days} day{'' if days == 1 else 's'} ago"
