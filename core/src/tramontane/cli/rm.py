"""`tramontane rm`: remove downloaded models."""

from __future__ import annotations

from pathlib import Path

from tramontane.errors import RequestError
from tramontane.model.source import local_path
from tramontane.registry import Registry

from .options import cache_folder
from .parser import Parser

SUMMARY = "Remove downloaded models from the hub's cache."


def run(argv: list[str]) -> int:
    """Remove each model that is named; files outside the cache are never touched."""
    parser = Parser("tramontane rm", description=SUMMARY)
    parser.add_argument(
        "names", nargs="+", metavar="MODEL", help="as `tramontane list` shows it: org/name, ..."
    )
    parser.add_argument("--hf-cache", type=Path, metavar="DIR", help="the folder of downloads")
    options = parser.parse_args(argv)
    from tramontane.hub.stored_models import remove
    from tramontane.memory import readable

    installed = Registry.from_environment().names("models")
    for name in options.names:
        if name in installed:
            raise RequestError(f"{name} is a plugin's model: uninstall the plugin with pip")
        if local_path(name) is not None:
            raise RequestError(
                f"{name} is a local file or folder, not a download: delete it yourself"
            )
        print(f"removed {name}, {readable(remove(name, cache_folder(options)))} freed")
    return 0
