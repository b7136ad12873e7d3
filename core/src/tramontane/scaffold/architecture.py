"""The first files of a model family: those of another one, under its own name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tramontane.errors import RequestError
from tramontane.plugin import Architecture
from tramontane.version import __version__

from .excerpt import excerpt
from .plugin import NAME

GGUF_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{dist}"
version = "{version}"
description = "{title} for Tramontane."
license = "MIT"
requires-python = ">=3.11"
dependencies = ["tramontane-core~={version}", "torch>=2.6"]

[project.entry-points."tramontane.architectures"]
{title}ForCausalLM = "{package}.plugin"
{gguf} = "{package}.plugin"

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""
PLUGIN = '''\
"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

TINY = {tiny}


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="{title}ForCausalLM",
        # general.architecture of GGUF files: MODEL_ARCH_NAMES in llama.cpp's package gguf has the
        # names; pyproject.toml has an entry point for each name here
        aliases=("{gguf}",),
        config="{package}.model:{config}",
        model="{package}.model:{model}",
{weights}        example=TINY,
    )
'''
TEST = '''\
"""Which configurations the family takes."""

from __future__ import annotations

import pytest
from {package}.model import {config}
from {package}.plugin import TINY
from tramontane.config import read_config
from tramontane.errors import ConfigError


def test_the_example_is_one() -> None:
    assert read_config({config}, TINY).num_hidden_layers == {layers}


def test_another_activation_is_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_act"):
        read_config({config}, {{**TINY, "hidden_act": "none that there is"}})
'''
PAGE = """\
# {title}

`pip install {dist}`

Checkpoints: those of `{title}ForCausalLM`.

Names: `{title}ForCausalLM` in `architectures`, `{gguf}` in GGUF files.

## What is special

- So far it is {like} under another name: `model.py` says which parts come in which order.

## What is refused, and why

- {refused}

## To check it

    pip install -e . pytest transformers
    python -m pytest tests
    python -m pytest --tramontane {dist} --reference transformers

How to go on: `docs/writing-an-architecture.md` of Tramontane.
"""


def architecture_files(
    name: str, like: Architecture, fixed: list[str], dist: str, gguf: str | None = None
) -> dict[str, str]:
    """A distribution's files by their paths below its folder, and its page as README.md.

    name: small letters, digits and single hyphens. fixed: fields of the configuration that have
    one value. gguf: what llama.cpp calls the family, if not `name`. Raises RequestError for a name
    that cannot be, PluginError when the other family's source is missing.
    """
    if not NAME.fullmatch(name):
        raise RequestError(
            f"{name!r} is no name for a family: small letters, digits and single hyphens between "
            "them, a letter first"
        )
    gguf = gguf or name
    if not GGUF_NAME.fullmatch(gguf):
        raise RequestError(
            f"--gguf {gguf}: llama.cpp's names have small letters, digits, hyphens and underscores"
        )
    title = "".join(part[0].upper() + part[1:] for part in name.split("-"))
    package = dist.replace("-", "_")
    targets = [target for target in (like.config, like.model, like.weights) if target]
    stem = like.model.partition(":")[2]
    words = {"name": name, "title": title, "package": package, "dist": dist, "gguf": gguf}
    renamed = {stem: title, _package(like): package}
    config, model, *weights = (_renamed(t.partition(":")[2], renamed) for t in targets)
    words |= {"config": config, "model": model, "version": __version__, "like": like.name}
    wired = "".join(f'        weights="{package}.model:{each}",\n' for each in weights)
    fields = "".join(f"    {json.dumps(key)}: {value!r},\n" for key, value in like.example.items())
    tiny = f"{{\n{fields}}}"
    layers = next(
        value
        for key, value in like.example.items()
        if key.startswith(("num_", "n_", "decoder_")) and key.endswith(("layer", "layers"))
    )
    listed = ", ".join(f"`{field}`" for field in fixed) or "nothing beyond"
    refused = f"Fields that have one value: {listed}. Say which checkpoints have another, and why."
    docstring = f'"""{title}: say here what it is, and what differs."""'
    source = f"{docstring}\n\n{excerpt(targets, renamed)}"
    return {
        "pyproject.toml": PROJECT.format(**words),
        f"src/{package}/__init__.py": f'"""The {title} family of architectures."""\n',
        f"src/{package}/plugin.py": PLUGIN.format(**words, tiny=tiny, weights=wired),
        f"src/{package}/model.py": source,
        f"tests/test_{name.replace('-', '_')}.py": TEST.format(**words, layers=layers),
        "README.md": PAGE.format(**words, refused=refused),
    }


def _package(offer: Architecture) -> str:
    return offer.model.partition(":")[0].partition(".")[0]


def _renamed(name: str, renamed: Mapping[str, str]) -> str:
    for before, after in renamed.items():
        name = re.sub(rf"\b{before}(?=[A-Z0-9_]|\b)", after, name)
    return name
