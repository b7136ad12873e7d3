"""Opening a model for whatever it is for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from tramontane.checkpoint.load_options import CHECKS as LOADING
from tramontane.checkpoint.load_options import LoadOptions, Progress
from tramontane.checkpoint.open import open_checkpoint
from tramontane.engine.options import EngineOptions
from tramontane.errors import RequestError
from tramontane.hub.options import CHECKS as HUB
from tramontane.hub.options import HubOptions
from tramontane.model.loaded_model import LoadedModel
from tramontane.model.source import find_model, shown_name
from tramontane.plugin import Architecture
from tramontane.registry import Registry

from .loaded_task import LoadedTask
from .queue import CHECKS as QUEUE
from .queue import QueueOptions
from .task import TASKS, NotInEngine, face_of, is_embedder, tasks_of

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded

Opened: TypeAlias = LoadedTask | LoadedModel
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


def open_model(
    model: str | Path,
    task: str | None = None,
    *,
    hub: HubOptions | None = None,
    options: LoadOptions | None = None,
    queue: QueueOptions | None = None,
    engine: EngineOptions | Callable[[Loaded], EngineOptions] | None = None,
    text: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Opened:
    """Load a model, in the engine where it runs there. task: what it will be asked for; None: what
    it is for. engine, text: of those that run in one, its options and more of `LoadedModel`'s.

    Raises RequestError for a model of other tasks, before a weight is read; TramontaneError.
    """
    registry = registry or Registry.from_environment()
    hub, options = hub or HubOptions(), options or LoadOptions()
    try:
        return LoadedModel(
            model, hub=hub, options=options, engine=engine, registry=registry, progress=progress,
            task=task, queue=queue, **{"token_ids": True, **(text or {})},
        )  # fmt: skip
    except NotInEngine:
        pass
    if options.quant is not None:  # its files are not chosen from: the weights are quantized
        options = replace(options, isq=options.quant, quant=None)
    checkpoint = open_checkpoint(find_model(str(model), registry, hub), registry)
    with closing(checkpoint):
        return LoadedTask(
            checkpoint, shown_name(str(model), registry), registry,
            hub=hub, task=task, options=options, queue=queue, progress=progress,
        )  # fmt: skip


def open_for(task: str, model: str | Path, given: Loading | Mapping[str, Any]) -> Opened:
    """What a Python class of a task opens."""
    hub, options, queue, registry, progress = split(given)
    waiting = {name: queue[name] for name in ("max_waiting", "queue_timeout") if name in queue}
    return open_model(
        model,
        task,
        hub=hub,
        options=options,
        queue=QueueOptions(**queue) if queue else None,
        engine=EngineOptions(**waiting),
        registry=registry,
        progress=progress,
    )


def task_of(
    model: str | Path, *, hub: HubOptions | None = None, registry: Registry | None = None
) -> str:
    """What a model is for; reads headers only. Raises TramontaneError."""
    registry = registry or Registry.from_environment()
    path = find_model(str(model), registry, hub or HubOptions())
    with closing(open_checkpoint(path, registry)) as checkpoint:
        offer = registry.get(Architecture, checkpoint.header.architecture)
    found = tasks_of(offer, embeds=is_embedder(path))[0]
    if found not in TASKS:
        raise RequestError(f"{model} is a part of other models, and nothing by itself")
    return found


def load(
    model: str | Path = "default", *, task: str | None = None, waits: bool = True, **options: Any
) -> Any:
    """Load a model as what it is for: an LLM, Embedder, Reranker, Transcriber, ImageModel or
    SpeechModel, or, with `waits=False`, its like for asyncio.

    task: "text", "embed", "rank", "transcribe", "image" or "speech" of a model that can do several.
    options: of that class. Raises as that class does.
    """
    if task is None:
        given = {name: options[name] for name in ("revision", "token_source", "cache_dir")
                 if name in options}  # fmt: skip
        task = task_of(model, hub=HubOptions(**given), registry=options.get("registry"))
    elif task not in TASKS:
        raise RequestError(f"there is no task {task!r}; tasks: {', '.join(TASKS)}")
    return face_of(task, waits=waits)(model, **options)
