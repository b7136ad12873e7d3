"""What the Python classes of all tasks have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, Unpack

from tramontane.checkpoint.load_options import LoadReport
from tramontane.errors import RequestError

from .opening import Loading, Opened, open_for
from .queue import WorkQueue


class Face:
    """A loaded model for one task. Thread-safe."""

    task: ClassVar[str]

    def __init__(self, model: str | Path, **loading: Unpack[Loading]) -> None:
        """Load a model: a folder, a model file, an installed model's name, or a hub id. loading:
        see `Loading`.

        Raises ModelNotFound, CheckpointError, PluginError, NotEnoughMemory, RequestError for a
        model of another task, all TramontaneError.
        """
        opened = open_for(self.task, model, loading)
        try:
            self._take(opened)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def over(cls, opened: Opened) -> Self:
        """The same over a model that is loaded already, which is the caller's to close."""
        face = cls.__new__(cls)
        face._take(opened)
        return face

    def _take(self, opened: Opened) -> None:
        self.inner = opened
        self.runner: Any = opened.runner(self.task)

    @property
    def report(self) -> LoadReport:
        """How the checkpoint was loaded: layouts, kernels, bytes."""
        return self.inner.report

    @property
    def queue(self) -> WorkQueue:
        return self.inner.queue

    def close(self) -> None:
        """Cancel what runs, and end the model's threads."""
        self.inner.close()


class Waiting(Face):
    """A face for code that waits; a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


class Awaiting(Face):
    """A face for asyncio. Awaiting never blocks the loop; loading does: do it first."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)


def texts_of(given: Any, what: str) -> list[str]:
    """A list of texts. Raises RequestError for anything else."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise RequestError(f"{what} should be a list of texts, not {given!r:.60}")
    for index, each in enumerate(given):
        if not isinstance(each, str):
            raise RequestError(f"{what}[{index}] should be a text, not {each!r:.60}")
    return list(given)
