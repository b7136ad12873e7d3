"""`tramontane new`: the first files of a plugin."""

from __future__ import annotations

import runpy
from pathlib import Path

from tramontane.errors import RequestError, UsageError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .parser import Parser

SUMMARY = "Create the files of a new plugin: a small one that works, under its own name."
PLACES = {"architecture": "arch", "quantizer": "quant", "backend": "backends"}
"""Folders of a workspace; other kinds go to plugins."""


def run(argv: list[str]) -> int:
    """Write a distribution's folder. Raises RequestError when there is one."""
    from tramontane.scaffold.plugin import KINDS

    parser = Parser("tramontane new", description=SUMMARY)
    parser.add_argument("kind", choices=["architecture", *KINDS], help="what the plugin offers")
    parser.add_argument("name", help="lower-case letters, digits and hyphens")
    parser.add_argument(
        "--like", metavar="FAMILY",
        help="for an architecture: the one to start from, by one of its names, its "
        "distribution, or its folder",
    )  # fmt: skip
    parser.add_argument(
        "--gguf", metavar="NAME",
        help="for an architecture: what llama.cpp calls it, general.architecture of GGUF files "
        "(MODEL_ARCH_NAMES in the package gguf; default: the plugin's name)",
    )  # fmt: skip
    parser.add_argument(
        "--into",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to create it (default: the current folder)",
    )
    options = parser.parse_args(argv)
    if options.kind == "architecture" and options.like is None:
        raise UsageError(
            "an architecture starts from another one: give --like FAMILY; "
            "tramontane models lists them"
        )
    if options.kind != "architecture" and options.like is not None:
        raise UsageError(f"--like is for an architecture, not for a {options.kind}")
    if options.kind != "architecture" and options.gguf is not None:
        raise UsageError(f"--gguf is for an architecture, not for a {options.kind}")
    place = options.into / PLACES.get(options.kind, "plugins")
    workspace = place.is_dir()
    folder = place / options.name if workspace else options.into / options.name
    if folder.exists():
        raise RequestError(f"{folder} exists already; choose another name, or --into DIR")
    for path, text in _files(options.kind, options.name, options.like, options.gguf).items():
        # a workspace has its pages on families together
        page = workspace and path == "README.md" and options.kind == "architecture"
        to = options.into / "docs" / "models" / f"{options.name}.md" if page else folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, "utf-8")
        print(to)
    if (maker := folder / "make_model.py").exists():
        runpy.run_path(str(maker))
        print(f"{maker} has been run: its files are in the package")
    if options.kind == "architecture":
        dist = f"tramontane-arch-{options.name}"
        print(f"next: pip install -e {folder} pytest transformers")
        print(f"then: python -m pytest --tramontane {dist} --reference transformers")
    return 0


def _files(kind: str, name: str, like: str | None, gguf: str | None) -> dict[str, str]:
    from tramontane.scaffold.architecture import architecture_files
    from tramontane.scaffold.like import family
    from tramontane.scaffold.plugin import plugin_files

    if like is None:
        return plugin_files(kind, name)
    offer = family(Registry.from_environment(), like)
    return architecture_files(name, offer, _fixed(offer), f"tramontane-arch-{name}", gguf)


def _fixed(offer: Architecture) -> list[str]:
    """Fields of a configuration that may have one value only."""
    from typing import Literal, get_args, get_origin

    fields = load(offer.config).model_fields
    return [
        name
        for name, field in fields.items()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    ]
