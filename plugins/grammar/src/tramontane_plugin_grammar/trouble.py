"""What the grammar library says of trouble, in one line that helps; never a panic's text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tramontane.errors import RequestError

FAILED = "the grammar library failed on it; another way to say the same may work"
COSTLY = ("too many", "too complex", "too large", "limit", "fuel")


def first_line(said: str) -> str:
    """An error of the library's in one line of bounded length."""
    if said.lstrip().startswith("panic"):
        return FAILED
    for more in ("<backtrace>", "<state>", "<non-verbose/>"):
        said = said.partition(more)[0]
    line = " ".join(said.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def stopped(said: str) -> RequestError:
    """The error for a grammar that cannot be followed any further."""
    line = first_line(said)
    if any(word in line.lower() for word in COSTLY):
        return RequestError(
            f"the grammar is too costly to follow here ({line}); fewer repetitions, or lengths "
            "without a pattern, cost less"
        )
    return RequestError(f"the grammar cannot go on: {line}")


@contextmanager
def no_panic(what: str) -> Iterator[None]:
    """Raises RequestError where Rust code panics, which comes as a BaseException of no module."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RequestError(f"{what}: {FAILED}") from None
