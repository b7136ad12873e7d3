"""Which files of a folder hold the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tramontane.errors import CheckpointError
from tramontane.one_line import one_line
from tramontane.tokenizer.json_file import read_object

KINDS = ((".safetensors", "model"), (".bin", "pytorch_model"), (".pth", ""), (".pt", ""))
"""Endings in the order of preference, and the name of a file that holds everything."""

NOT_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin")
INDEX_LIMIT = 256 << 20
"""Bytes; the largest real index has about 20 MB."""


def choose_weights(names: Iterable[str]) -> list[str]:
    """Of the files in a folder: its index if it has one, or all that hold weights, or nothing."""
    there = set(names)
    for ending, whole in KINDS:
        if (index := f"{whole}{ending}.index.json") in there and whole:
            return [index]
        found = sorted(n for n in there if n.endswith(ending) and n not in NOT_WEIGHTS)
        if found:
            return [f"{whole}{ending}"] if f"{whole}{ending}" in found else found
    return []


def is_index(name: str) -> bool:
    """Whether a chosen file only names the others."""
    return name.endswith(".index.json")


def find_weights(folder: Path) -> list[Path]:
    """The weight files of a folder: those its index names, or the only ones there are.

    Raises CheckpointError when there are none, or one is missing.
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
    """The files that an index names. Raises CheckpointError."""
    table = read_object(path, INDEX_LIMIT).get("weight_map")
    if not (isinstance(table, Mapping) and table):
        raise CheckpointError(f"{path}: 'weight_map' must map tensors to file names")
    for tensor, name in table.items():
        # a path would lead out of the folder
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise CheckpointError(
                f"{path}: {one_line(repr(tensor))} is in {one_line(repr(name))}, "
                "which is not a file name"
            )
    return sorted(set(table.values()))
