"""What a folder of UQFF holds, whether it is sound, and what its maker says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError
from tramontane.tokenizer.json_file import read_if_there

from .container import Uqff
from .parts import NAMES
from .writer import REPORT


def inspect(path: Path) -> dict[str, Any]:
    """A file's version, parts, and each matrix's kind, shape and bytes; reads no weight.

    Raises CheckpointError."""
    opened = Uqff(path)
    try:
        infos = opened.header.tensors
        layers = {
            name: {
                "format": NAMES[opened.kinds[name]], "stored": infos[name].stored,
                "shape": list(infos[name].shape), "bytes": infos[name].nbytes,
            }
            for name in opened.kinds
        }  # fmt: skip
        return {
            "version": opened.version,
            "files": {file.name: held.metadata() for file, held in _with_metadata(opened)},
            "architecture": opened.header.architecture,
            "layers": layers,
            "counts": dict(sorted(Counter(each["stored"] for each in layers.values()).items())),
            "dense": sorted(infos.keys() - layers.keys()),
            "bytes": sum(info.nbytes for info in infos.values()),
        }
    finally:
        opened.close()


def _with_metadata(opened: Uqff) -> Iterator[tuple[Path, Any]]:
    from safetensors import safe_open

    for path in opened.files:
        with safe_open(path, framework="pt") as held:
            yield path, held


def verify(path: Path) -> list[str]:
    """What is wrong with a model, in plain sentences; empty if every matrix can be decoded, every
    number is finite, and the report agrees."""
    try:
        opened = Uqff(path)
    except CheckpointError as error:
        return [str(error)]
    problems = []
    try:
        for name in opened.header.tensors:
            try:
                opened.read(name)
            except CheckpointError as error:
                problems.append(str(error))
        stored = {name.removesuffix(".weight"): opened.header.tensors[name].stored
                  for name in opened.kinds}  # fmt: skip
        problems += _against_report(path, stored, report(path.parent))
    finally:
        opened.close()
    return problems


def _against_report(path: Path, stored: dict[str, str], said: dict[str, Any]) -> Iterator[str]:
    outputs = said.get("outputs", [])
    mine = [
        each for each in outputs if isinstance(each, dict) and path.name in each.get("shards", [])
    ]
    for output in mine:
        details = {
            each.get("module"): each.get("stored") for each in output.get("layer_details", [])
        }
        for module in sorted(details.keys() | stored.keys(), key=str):
            there, told = stored.get(module), details.get(module)
            if there is not None and told is not None and _same(there, told):
                continue
            yield (
                f"{path.parent / REPORT}: {module} is {told or 'not there'} by the report, and "
                f"{there or 'not there'} in the file"
            )


def _same(there: str, told: str) -> bool:
    return there.replace("_", "") == str(told).replace("_", "").lower()


def report(folder: Path) -> dict[str, Any]:
    """`uqff_report.json`, or an empty mapping if there is none. Raises CheckpointError."""
    return dict(read_if_there(folder / REPORT))
