"""`--quant`: of a repository or folder the file that fits, or else quantizing while loading.

A number or a name chooses among single-file models by what is in their names, in the order that
the container's quantizer gives. A model in parts, or of which no file has it, is quantized in
place; one that is quantized already is taken as it is. `auto` takes the most bits that fit: weights
in memory, which may be larger than their file, may take four fifths of what is free, as the context
needs some too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tramontane.checkpoint.choose_quantizer import BESIDE
from tramontane.checkpoint.weight_files import choose_weights
from tramontane.errors import ModelNotFound, PluginNotInstalled, UsageError
from tramontane.hub.choose import all_parts, choices, first_parts
from tramontane.hub.options import HubOptions
from tramontane.memory import readable
from tramontane.plugin import Quantizer
from tramontane.quantizing.choose_kind import NUMBERS, kernels_of, of_bits
from tramontane.quantizing.kinds import installed_kinds
from tramontane.registry import Registry

from .file_sizes import FileSize, built_of, held_by, kind_pattern, sizes_of, stem
from .source import local_path

AUTO = "auto"
SHARE = 0.8
"""Of the free memory, for weights."""
FULL_BITS = 16
"""Of weights that are not quantized, as nearly all are saved."""
PROJECTOR = re.compile(r"(^|/)mmproj")
"""Files for images beside a model."""


@dataclass(frozen=True)
class Fitted:
    """What to load: a name for `-m`, what to quantize to while loading, and why."""

    name: str
    isq: str | None
    why: str


def fit(name: str, quant: str, registry: Registry, hub: HubOptions, free: int) -> Fitted:
    """free: bytes of memory. Raises ModelNotFound, UsageError, DownloadError."""
    quant = quant.strip().lower()
    if quant.isdigit() and int(quant) not in NUMBERS:
        raise UsageError(f"--quant {quant}: 2 to 8 bits, a kind, or auto")
    path = local_path(name)
    if path is None and name in registry.names("models"):
        return Fitted(name, None, f"{name} is an installed model, taken as it is")
    if path is not None and path.is_file():
        return Fitted(name, None, f"{name} is one file, taken as it is")
    files = _hub_files(name, hub) if path is None else _folder_files(path)
    if files is None:
        return Fitted(name, None, f"{name} is one file, taken as it is")
    single = _single(files)
    weights = choose_weights(file for file in files if "/" not in file)
    if "config.json" not in files:
        weights = []
    if quant == AUTO:
        fitted = _most_that_fits(name, path, files, single, weights, registry, free)
    else:
        fitted = _named(name, path, quant, single, bool(weights), registry)
    if fitted.isq is not None and _is_quantized(name, path, files, hub):
        return Fitted(name, None, f"{name} is quantized already, taken as it is")
    return fitted


def _named(
    name: str,
    path: Path | None,
    quant: str,
    single: Mapping[str, int],
    whole: bool,
    registry: Registry,
) -> Fitted:
    kinds = _file_kinds(registry, int(quant)) if quant.isdigit() else [quant]
    said = f"{quant} bits" if quant.isdigit() else quant
    if (file := _by_kind(single, kinds, name)) is not None:
        return Fitted(_joined(name, path, file), None, f"{file} is the file of {said}")
    if whole:
        return Fitted(name, quant, f"no file of {name} has {said}: quantized while loading")
    if single:
        raise ModelNotFound(f"{name} has no file of {said}; {choices(name, list(single))}")
    return Fitted(name, None, "")  # what is missing is told when it is opened


def _most_that_fits(
    name: str,
    path: Path | None,
    files: Mapping[str, int],
    single: Mapping[str, int],
    weights: list[str],
    registry: Registry,
    free: int,
) -> Fitted:
    room = int(free * SHARE)
    said = f"{readable(free)} are free"
    if weights:
        for bits, held in _whole_sizes(path, files, weights, registry):
            if held > room:
                continue
            if bits is None:
                return Fitted(name, None, f"{readable(held)} of weights fit as they are: {said}")
            why = f"{bits} bits take about {readable(held)} of memory: {said}"
            return Fitted(name, str(bits), why)
    sizes = sizes_of(single, path, registry)
    fits = {file: size for file, size in sizes.items() if size.held <= room}
    if fits:
        file = max(fits, key=lambda each: fits[each].stored)
        why = f"{file} is the largest that fits, with {_in_memory(fits[file])}: {said}"
        return Fitted(_joined(name, path, file), None, why)
    if sizes:
        file = min(sizes, key=lambda each: sizes[each].held)
        why = f"nothing fits well; {file} is the smallest, with {_in_memory(sizes[file])}: {said}"
        return Fitted(_joined(name, path, file), None, why)
    return Fitted(name, None, f"nothing fits well: {said}")


def _in_memory(size: FileSize) -> str:
    return f"{readable(size.held)} in memory"


def _whole_sizes(
    path: Path | None, files: Mapping[str, int], weights: list[str], registry: Registry
) -> Iterator[tuple[int | None, int]]:
    """Bits and bytes in memory of a model in several files: first as it is (None), then quantized
    while loading; of one on a hub about."""
    ending = ".safetensors" if ".safetensors" in weights[0] else Path(weights[0]).suffix
    size = sum(files[file] for file in files if file.endswith(ending) and "/" not in file)
    built = None if path is None else built_of(path, registry)
    yield None, size if built is None else held_by(built)
    kinds = installed_kinds(registry).values()
    for bits in (8, 6, 5, 4, 3, 2):
        if built is not None:
            with suppress(PluginNotInstalled):
                yield bits, held_by(built, bits, registry)
        elif (kind := of_bits(bits, kinds, kernels_of(None))) is not None:
            yield bits, int(size * kind.bits / FULL_BITS)


def _by_kind(single: Mapping[str, int], kinds: Iterable[str], name: str) -> str | None:
    """The file whose name has the first kind that any has; those by "UD" for want of others."""
    for kind in kinds:
        pattern = kind_pattern(kind)
        found = [file for file in single if pattern.search(stem(file))]
        usual = [file for file in found if not re.search(r"(?<![a-z0-9])ud-", stem(file))]
        found = usual or found
        if len(found) > 1:
            raise ModelNotFound(f"{name} has several files of {kind}: {choices(name, found)}")
        if found:
            return found[0]
    return None


def _file_kinds(registry: Registry, bits: int) -> list[str]:
    return [kind for offer in registry.all(Quantizer) for kind in offer.file_kinds.get(bits, ())]


def _single(files: Mapping[str, int]) -> dict[str, int]:
    """Single-file models with the bytes of all of their parts."""
    return {
        file: sum(files.get(part, 0) for part in all_parts(file))
        for file in first_parts(files)
        if not PROJECTOR.search(file.lower())
    }


def _joined(name: str, path: Path | None, file: str) -> str:
    return f"{name}:{file}" if path is None else str(path / file)


def _folder_files(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in path.iterdir() if file.is_file()}


def _hub_files(name: str, hub: HubOptions) -> dict[str, int] | None:
    """Sizes by name; None for the name of one file."""
    from tramontane.hub import is_hub_id, list_files

    if not is_hub_id(name):
        raise ModelNotFound(f"no model {name!r}: there is no such file or folder here")
    return None if ":" in name else list_files(name, hub)


def _is_quantized(name: str, path: Path | None, files: Mapping[str, int], hub: HubOptions) -> bool:
    """Whether config.json, or a file beside it, says so. Of a hub's model it is downloaded, as it
    is needed anyway. Raises DownloadError."""
    if not BESIDE.keys().isdisjoint(files):
        return True
    from tramontane.hub import download

    file = download(f"{name}:config.json", hub) if path is None else path / "config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(
        config.get("quantization_config") or config.get("quantization")
    )
