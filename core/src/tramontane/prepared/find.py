"""Whether a model was prepared before, and what is needed to prepare it for the next start."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import torch
from torch import Tensor

from tramontane.backend import Keep
from tramontane.checkpoint.checkpoint import DENSE
from tramontane.plugin import Backend, Quantizer, load
from tramontane.registry import Registry
from tramontane.system import torch_parts

from . import shelf
from .array_file import ArrayFile, Damaged, not_ours, write
from .identity import code_of, identity, key_name
from .weights import Weights, describe, fits, restore

if TYPE_CHECKING:
    from tramontane.checkpoint.build import Built
    from tramontane.checkpoint.load_options import LoadOptions

log = logging.getLogger(__name__)
VERSION = 2


@dataclass(frozen=True)
class Place:
    """Where a model's prepared weights are, or would be. key: all that they were made for."""

    path: Path
    key: Mapping[str, Any]
    keep: Keep

    def fill(self, built: Built) -> Filled | None:
        """Put them into the model. None where there are none, or none that can be trusted: those
        are removed."""
        try:
            if not self.path.exists() or not_ours(self.path.parent.stat()):
                return None
            file = ArrayFile(self.path)
            if file.key != json.loads(json.dumps(self.key)):
                raise Damaged("it was made from something else, or for another machine")
            if torch_parts.is_left_out() and not fits(file, built.wanted):
                return None  # the caller begins again with all of torch, which may see it otherwise
            sample = restore(file, built.wanted, self.keep)
        except Damaged as error:
            log.warning("the prepared model %s is made again: %s", self.path, error)
            shelf.remove(self.path)
            return None
        except OSError as error:
            log.debug("no prepared model: %s", error)
            return None
        file.touch()
        shelf.note_use(self.path)
        return Filled(sample, file.about.get("kernels", {}))

    def unsaved(self, built: Built, sample: Tensor, kernels: Mapping[str, str]) -> Unsaved | None:
        """The model's weights for the next start; None where it would not gain by it."""
        tensors = built.checkpoint.header.tensors
        plain = {
            path for path, source in built.sources.items()
            if all(tensors[name].stored.lower() in DENSE for name in source.tensors)
        }  # fmt: skip
        weights = describe(built.wanted, plain, sample, self.keep)
        if weights is None or not shelf.is_worth(weights.nbytes, weights.packed):
            return None
        about = {**weights.about, "kernels": dict(kernels)}
        return Unsaved(self, replace(weights, about=about))


@dataclass(frozen=True)
class Filled:
    """A model that was filled. sample: see `Loaded`. kernels: what `Prepare` chose when it was
    prepared."""

    sample: Tensor
    kernels: Mapping[str, str]


@dataclass(frozen=True)
class Unsaved:
    """A prepared model that is not in a file yet."""

    place: Place
    weights: Weights

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes

    def save(self, between: Callable[[int], bool] = lambda written: True) -> bool:
        """Write the file, if there is room; whether it is there now. between: see `write`. An error
        is only logged."""
        path, part = self.place.path, None
        try:
            if path.exists():  # another process was quicker
                return True
            if not shelf.make_room(self.nbytes):
                log.debug("%d bytes of a prepared model have no room", self.nbytes)
                return False
            handle, part = shelf.unfinished()
            with os.fdopen(handle, "w+b", buffering=0) as file:
                done = self._write(cast("BinaryIO", file), between)
            if done:
                os.replace(part, path)
                part = None
            return done
        except OSError as error:
            log.debug("a prepared model cannot be kept: %s", error)
            return False
        finally:
            if part is not None:
                shelf.remove(part)

    def _write(self, file: BinaryIO, between: Callable[[int], bool]) -> bool:
        arrays = self.weights.described.arrays
        return write(file, self.place.key, self.weights.about, arrays, between)


def place_of(
    built: Built, backend: Backend | None, options: LoadOptions, registry: Registry
) -> Place | None:
    """None where prepared models are off, or cannot be kept for this model or device."""
    if backend is None or backend.keep is None or not options.mmap or not shelf.is_on():
        return None
    header = built.checkpoint.header
    parts = [header.path, *([header.encoder_path] if header.encoder_path else [])]
    known = [identity(path) for path in parts]
    if None in known:
        return None
    keep: Keep = load(backend.keep)
    architecture, quantizer = built.architecture, built.quantizer
    containers = registry.names("quantizers")
    container = None
    if header.container in containers:
        container = registry.get(Quantizer, header.container).open
    code = [__name__, architecture.model, architecture.config]
    code += [target for target in (architecture.weights, quantizer, container) if target]
    key = {
        "format": VERSION,
        "version": version("tramontane-core"),
        "torch": torch.__version__,
        "checkpoint": known,
        "container": header.container,
        "architecture": header.architecture,
        "code": code_of(code),
        "backend": backend.name,
        "order": keep.order(),
        "dtype": options.dtype,
        "activations": options.activations,
        "overrides": repr(sorted(options.overrides.items())),
        "name": header.path.name,
    }
    return Place(shelf.path_of(str(known[0]), key_name(key)), key, keep)
