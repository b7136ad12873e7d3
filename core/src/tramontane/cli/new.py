"""`tramontane new`: the first files of a plugin."""

from __future__ import annotations

from pathlib import Path

from tramontane.errors import RequestError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .parser import Parser

SUMMARY = "Create the files of a new plugin from those of an existing one."


def run(argv: list[str]) -> int:
    """Write a distribution's folder. Raises RequestError when there is one."""
    parser = Parser("tramontane new", description=SUMMARY)
    parser.add_argument("kind", choices=["architecture"], help="what the plugin offers")
    parser.add_argument("name", help="name of the family: lower-case letters and digits")
    parser.add_argument("--like", required=True, help="the architecture to start from")
    parser.add_argument(
        "--into",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to create it (default: the current folder)",
    )
    options = parser.parse_args(argv)
    from tramontane.scaffold.architecture import architecture_files

    like = Registry.from_environment().get(Architecture, options.like)
    workspace = (options.into / "arch").is_dir()
    folder = options.into / "arch" / options.name if workspace else options.into / options.name
    if folder.exists():
        raise RequestError(f"{folder} exists already; choose another name, or --into DIR")
    files = architecture_files(options.name, like, _fixed(like), f"tramontane-arch-{options.name}")
    for path, text in files.items():
        # a workspace has its pages together
        page = workspace and path == "README.md"
        to = options.into / "docs" / "models" / f"{options.name}.md" if page else folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, "utf-8")
        print(to)
    return 0


def _fixed(offer: Architecture) -> list[str]:
    """Fields of a configuration that may have one value only."""
    from typing import Literal, get_args, get_origin

    fields = load(offer.config).model_fields
    return [
        name
        for name, field in fields.items()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    ]
