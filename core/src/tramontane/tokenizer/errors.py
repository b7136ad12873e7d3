"""Convert the `tokenizers` package's exceptions on damaged data to CheckpointError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tramontane.errors import CheckpointError


@contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Raise a one-line CheckpointError if the package fails inside the block.

    It raises plain Exception instead of a type of its own, and a panic of its Rust code is a
    BaseException subclass that no module exports.
    """
    try:
        yield
    except CheckpointError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        what = " ".join(str(error).split())
        raise CheckpointError(f"{path} is not a usable tokenizer: {what:.200}") from error
