"""Find the weight files of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

KINDS = (
    (".safetensors", ("model", "diffusion_pytorch_model")), (".bin", ("pytorch_model",)),
    (".pth", ()), (".pt", ()),
)  # fmt: skip
"""Endings in the order of preference, and the stems of an unsharded file's name."""

PARTS_INDEX = "model_index.json"
"""What a folder of several parts has, each in a folder below, as diffusers' are."""
NOT_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin")
INDEX_LIMIT = 256 << 20
"""Maximum size in bytes; the largest real index has about 20 MB."""


def choose_weights(names: Iterable[str]) -> list[str]:
    """The folder's index if it has one, else its weight files, else an empty list."""
    existing = set(names)
    for ending, stems in KINDS:
        for stem in stems:
            if (index := f"{stem}{ending}.index.json") in existing:
                return [index]
        weights = sorted(n for n in existing if n.endswith(ending) and n not in NOT_WEIGHTS)
        if weights:
            usual = [f"{stem}{ending}" for stem in stems if f"{stem}{ending}" in weights]
            return usual[:1] or weights
    return []


def names_encoder(name: str) -> bool:
    """Whether a container file's name says that it holds an encoder of images, no model."""
    return "mmproj" in name.rpartition("/")[2].lower()


def is_index(name: str) -> bool:
    """Whether a file is an index, which lists the weight files."""
    return name.endswith(".index.json")


def find_weights(folder: Path) -> list[Path]:
    """The weight files of a folder: those listed in its index, or all if it has none.

    Raises CheckpointError if there are none, or one is missing.
    """
    chosen = choose_weights(path.name for path in folder.iterdir())
    if not chosen:
        raise CheckpointError(
            f"{folder} has config.json but no weights: looked for *.safetensors, *.bin and *.pth"
        )
    if not is_index(chosen[0]):
        return [folder / name for name in chosen]
    paths = [folder / name for name in read_index(folder / chosen[0])]
    for path in paths:
        if not path.exists():
            raise CheckpointError(
                f"{folder}: {chosen[0]} names {path.name}, which is missing; copy or download "
                "the model again"
            )
    return paths


def read_index(path: Path) -> list[str]:
    """The files listed in an index. Raises CheckpointError."""
    from tramontane.tokenizer.json_file import read_object  # brings numpy; listing needs none

    table = read_object(path, INDEX_LIMIT).get("weight_map")
    if not (isinstance(table, Mapping) and table):
        raise CheckpointError(f"{path}: 'weight_map' must map tensors to file names")
    for tensor, name in table.items():
        # a path could point outside the folder
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise CheckpointError(
                f"{path}: {one_line(repr(tensor))} is in {one_line(repr(name))}, "
                "which is not a file name"
            )
    return sorted(set(table.values()))
