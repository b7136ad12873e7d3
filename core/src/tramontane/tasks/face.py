"""What the Python classes of all tasks have in common."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypedDict, Unpack

from tramontane.checkpoint.load_options import CHECKS as LOADING
from tramontane.checkpoint.load_options import LoadOptions, LoadReport, Progress
from tramontane.errors import RequestError
from tramontane.hub.options import CHECKS as HUB
from tramontane.hub.options import HubOptions
from tramontane.registry import Registry

from .queue import CHECKS as QUEUE
from .queue import QueueOptions, WorkQueue

if TYPE_CHECKING:
    from .opening import Opened

OWN = ("registry", "progress")


class Loading(TypedDict, total=False):
    """How to load a model, whatever its task: fields of `LoadOptions`, `HubOptions` and
    `QueueOptions`, which have their ranges and meaning."""

    revision: str | None
    token_source: str
    cache_dir: Path | None
    device: str
    gpu_layers: int | str | None
    device_map: str | None
    n_cpu_moe: int | str | None
    dtype: str
    threads: int | None
    activations: str
    kv_type: str
    num_ctx: int | None
    mmap: bool
    force: bool
    overrides: Mapping[str, Any]
    mmproj: str | Path | Literal[False] | None
    quant: str | int | None
    isq: str | int | None
    isq_organization: str
    topology: Path | None
    imatrix: Path | None
    parts: Path | None
    running: int
    max_waiting: int | None
    queue_timeout: float | None
    registry: Registry | None
    progress: Progress | None


def split(given: Mapping[str, Any]) -> tuple[HubOptions, LoadOptions, dict[str, Any], Any, Any]:
    """Keywords to the options of the hub, of loading, of the queue, registry and progress. Raises
    RequestError for an unknown one, and for values that cannot be."""
    known = [*LOADING, *HUB, *QUEUE, *OWN]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise RequestError(f"there is no option {name!r} of loading{meant}")
    hub, loading, queue = (
        {name: value for name, value in given.items() if name in checks}
        for checks in (HUB, LOADING, QUEUE.keys() - LOADING.keys())  # threads are the backend's
    )
    QueueOptions(**queue)
    found = HubOptions(**hub), LoadOptions(**loading), queue
    return *found, given.get("registry"), given.get("progress")


class Face:
    """A loaded model for one task. Thread-safe."""

    task: ClassVar[str]

    def __init__(self, model: str | Path, **loading: Unpack[Loading]) -> None:
        """Load a model: a folder, a model file, an installed model's name, or a hub id. loading:
        see `Loading`.

        Raises ModelNotFound, CheckpointError, PluginError, NotEnoughMemory, RequestError for a
        model of another task, all TramontaneError.
        """
        from .opening import open_for

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


def only(parts: Iterator[Any], kind: type) -> Iterator[Any]:
    """Of a stream of events those of a kind."""
    return (part for part in parts if isinstance(part, kind))
