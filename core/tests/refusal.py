"""Loading what cannot be loaded, and what is said of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import TramontaneError
from tramontane.registry import Registry

LONGEST = 700
"""Letters of a message, beside the path: it is to be read, not scrolled."""


def load(path: Path, **options: Any) -> Loaded:
    """The model at a path, on the reference device."""
    chosen = LoadOptions(**{"device": "reference", **options})
    return load_model(open_checkpoint(path, registry()), registry(), chosen)


@cache
def registry() -> Registry:
    """One scan of what is installed, for all that is loaded."""
    return Registry()


def refusal(path: Path, kind: type[TramontaneError] = TramontaneError, **options: Any) -> str:
    """What the error says; it must be one line of readable length."""
    with pytest.raises(kind) as caught:
        load(path, **options)
    return checked(caught.value)


def checked(error: BaseException) -> str:
    said = str(error)
    assert said
    assert said.isprintable(), said
    assert len(said) < LONGEST, said
    return said
