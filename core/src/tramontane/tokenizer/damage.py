"""What the `tokenizers` package does with damaged data, as one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tramontane.errors import CheckpointError


@contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Raises CheckpointError, in one line, where the package fails on what it was given.

    It raises plain Exception, having no type of its own, and a panic of its Rust code comes as a
    BaseException that no module exports.
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
