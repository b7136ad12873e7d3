"""Which encoder of images goes with a container's language model: the file that is named, or the
one beside it.

Beside it: in its folder, or in its repository in a folder that is one of those above it. Of several
the one in the nearest folder is taken, then the one whose bits are nearest to the model's, then
the first by name, as llama.cpp's `-hf` chooses. llama.cpp does not look in local folders; there,
as several models may lie together, a file that does not fit is passed over.
A file that is found so and does not fit is never an error: the model takes text without it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.checkpoint.encoder import takes_encoder, with_encoder
from tramontane.checkpoint.open import open_checkpoint, open_encoder
from tramontane.checkpoint.weight_files import names_encoder
from tramontane.errors import CheckpointError, UsageError
from tramontane.hub.options import HubOptions
from tramontane.plugin import Architecture
from tramontane.registry import Registry

from .source import find_model, local_path

log = logging.getLogger(__name__)
Given = str | Path | Literal[False] | None
PART = re.compile(r"-\d{5}-of-\d{5}$")
TAG = re.compile(r"[-.]([A-Za-z0-9_]+)$")
MOST_TRIED = 8
"""Files beside a model that are opened to see whether they fit."""


def open_with_encoder(
    path: Path, name: str, mmproj: Given, registry: Registry, hub: HubOptions
) -> Checkpoint:
    """The checkpoint at a path, with its encoder if it has one in a file of its own. Reads headers.

    name: what the user called the model. mmproj: see `LoadOptions`. Raises ModelNotFound,
    CheckpointError, DownloadError, PluginError, and UsageError for an encoder beside a folder.
    """
    text = open_checkpoint(path, registry)
    try:
        if mmproj is False:
            _refuse_without(text, path, registry)
            return text
        if mmproj is not None:
            if text.header.dialect == "hf":
                raise UsageError(
                    f"--mmproj {mmproj}: {path} is a folder of safetensors, which has its own "
                    "encoder if it has one; such files go with a GGUF model"
                )
            return _joined(text, find_model(str(mmproj), registry, hub), registry)
        return text if text.header.dialect == "hf" else _beside(text, name, registry, hub)
    except BaseException:
        text.close()
        raise


def _refuse_without(text: Checkpoint, path: Path, registry: Registry) -> None:
    """Raises UsageError for a model whose encoder is in its own files, which needs it."""
    header = text.header
    if header.dialect == "hf" and any(
        offer.media is not None and header.architecture in (offer.name, *offer.aliases)
        for offer in registry.all(Architecture)
    ):
        raise UsageError(
            f"--no-mmproj: {path} is no GGUF model: its encoder is among its own weights, and it "
            "is loaded with it; leave the option out, or take the model's GGUF file"
        )


def _joined(text: Checkpoint, path: Path, registry: Registry) -> Checkpoint:
    encoder = open_encoder(path, registry)
    try:
        return with_encoder(text, encoder, registry)
    except BaseException:
        encoder.close()
        raise


def _beside(text: Checkpoint, name: str, registry: Registry, hub: HubOptions) -> Checkpoint:
    from tramontane.hub import download, is_hub_id, list_files

    path = text.header.path
    if local_path(name) is None and is_hub_id(name):
        if not takes_encoder(text.header, registry):
            return text
        repo, _, file = name.partition(":")
        found = by_likeness(file or path.name, list_files(repo, hub))[:1]
        places = [download(f"{repo}:{each}", hub) for each in found]
        level = logging.WARNING
    else:
        inside = [item.name for item in path.parent.iterdir() if names_encoder(item.name)]
        places = [path.parent / each for each in by_likeness(path.name, inside)[:MOST_TRIED]]
        level = logging.INFO
    for place in places:
        try:
            return _joined(text, place, registry)
        except CheckpointError as error:
            log.log(level, "%s is not taken, images are not: %s", place.name, error)
    return text


def by_likeness(model: str, files: Iterable[str]) -> list[str]:
    """Of a repository's files the encoders that may go with a model, best first."""
    folder, wanted = model.split("/")[:-1], _bits(model)
    ending = model.rpartition(".")[2].lower()
    found = []
    for file in sorted(files):
        above = file.split("/")[:-1]
        is_one = names_encoder(file) and file.lower().endswith(f".{ending}")
        if is_one and above == folder[: len(above)]:
            found.append((-len(above), abs(_bits(file) - wanted), file))
    return [file for _, _, file in sorted(found)]


def _bits(file: str) -> int:
    """4 of "model-Q4_K_M.gguf", 16 of "mmproj-BF16.gguf"; 0 where the name does not say."""
    tag = TAG.search(PART.sub("", file.rpartition(".")[0]))
    digits = re.search(r"\d+", tag[1]) if tag else None
    return int(digits[0]) if digits else 0
