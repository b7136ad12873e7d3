"""How much each column of a matrix matters: mean squares of what it is multiplied with.

They tell a quantizer where errors count; `calibrate` measures them. Files are safetensors with a
tensor for each matrix's path, (columns), or (count, columns) for those of experts; containers'
quantizers read files of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tramontane.errors import CheckpointError, PluginError, RequestError, UsageError
from tramontane.plugin import Quantizer, load
from tramontane.registry import Registry
from tramontane.sanitize import one_line

from .kinds import Kind

FORMAT = {"format": "tramontane importance"}


def write_importance(
    found: Mapping[str, Tensor], path: Path, registry: Registry, text: str = ""
) -> None:
    """Write a file that `read_importance` reads, in the form of the container that its ending names
    if that has one, else in safetensors. text: what was measured on. Raises OSError, and
    CheckpointError for a model that the container has no names for."""
    ending = path.suffix.removeprefix(".").lower()
    for offer in registry.all(Quantizer):
        if offer.name == ending and offer.write_importance is not None:
            load(offer.write_importance)(found, path, text)
            return
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, path, FORMAT)


def read_importance(path: Path, registry: Registry) -> dict[str, Tensor]:
    """Means by the matrices' paths. Raises RequestError, CheckpointError."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    if start[8:9] == b"{":
        return _checked(_own(path), path)
    said = []
    for offer in registry.all(Quantizer):
        if offer.importance is None:
            continue
        try:
            return _checked(load(offer.importance)(path), path)
        except (CheckpointError, PluginError) as error:
            said.append(str(error))
    why = f": {one_line('; '.join(said), 400)}" if said else ""
    raise CheckpointError(
        f"{path} is not a file of `tramontane imatrix`, and no installed plugin reads it{why}"
    )


def refuse_unused(importance: Mapping[str, Tensor], kinds: Iterable[Kind]) -> None:
    """Raise UsageError where no quantizer of these kinds takes importances: they would be measured
    or read, and change nothing."""
    kinds = list(kinds)
    if not importance or not kinds or any(_takes(kind.offer) for kind in kinds):
        return
    names = ", ".join(sorted({kind.name for kind in kinds}))
    raise UsageError(
        f"{names}: importances (--imatrix, --calibration-file) change nothing in such a kind: "
        "leave them out, or choose another kind"
    )


def _takes(offer: Quantizer) -> bool:
    target = offer.quantize or offer.encode
    return target is not None and "importance" in inspect.signature(load(target)).parameters


def _own(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") != FORMAT["format"]:
                raise CheckpointError(f"{path} holds no importances: `tramontane imatrix` makes it")
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}") from error


def _checked(found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    checked = {}
    for name, means in found.items():
        if means.ndim not in (1, 2) or not means.isfinite().all() or bool((means < 0).any()):
            raise CheckpointError(f"{path}: {one_line(name)} has no mean squares of columns")
        checked[name.removesuffix(".weight")] = means.float()
    return checked
