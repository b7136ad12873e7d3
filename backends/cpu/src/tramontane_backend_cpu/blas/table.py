"""What was measured of a library on this machine, kept in the cache: one file for each library,
number of threads and version of this backend's kernels."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tramontane.system import paths

from tramontane_backend_cpu.kernels.blas import UNIT
from tramontane_backend_cpu.object_cache import folder

from .library import Library

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """How one shape is multiplied. library_from: vectors from which on the library does it; 0: it
    never does, for the reason `why`. cuts: see `order.py`; empty where its order is not followed.
    seconds: by what was measured, as text for who reads the file."""

    library_from: int
    why: str
    cuts: tuple[int, ...] = ()
    seconds: str = ""


class Table:
    """Choices by shape, read once and written as they are made. Nothing else is trusted in a file:
    one that is damaged is measured again."""

    def __init__(self, library: Library, threads: int) -> None:
        told = f"{library.identity()} {threads} {folder().name}"
        name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self.path: Path = paths.cache() / "blas" / f"{library.name}-{name}.json"

    def get(self, shape: str) -> Choice | None:
        """What was chosen for a shape, "float32 f32 2048 x 2048"; None: nothing yet."""
        return self._found.get(shape)

    def put(self, shape: str, choice: Choice) -> None:
        """Add a choice; one warning in a log if it cannot be kept."""
        self._found[shape] = choice
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(
                    {key: asdict(value) for key, value in self._found.items()}, file, indent=1
                )
            os.replace(path, self.path)
        except OSError as error:
            log.warning("measured speeds cannot be kept, and are measured again: %s", error)

    @cached_property
    def _found(self) -> dict[str, Choice]:
        try:
            told = json.loads(self.path.read_text("utf-8"))
            return {shape: _choice(about) for shape, about in told.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.debug("%s is not read: %s", self.path, error)
            return {}


def _choice(about: Any) -> Choice:
    """Raises TypeError, ValueError or KeyError for what is none."""
    found, cuts = Choice(**about), tuple(about["cuts"])
    if not isinstance(found.library_from, int) or not all(isinstance(cut, int) for cut in cuts):
        raise ValueError(about)
    if (
        found.library_from < 0
        or (cuts and found.library_from % UNIT)
        or list(cuts) != sorted({*cuts})
        or (cuts and cuts[0] != 0)
    ):
        raise ValueError(about)
    return Choice(found.library_from, str(found.why), cuts, str(found.seconds))
