"""The models of a server: loaded, unloaded, and loaded again on request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import TramontaneError

from .http.errors import ApiError
from .model_settings import ModelSettings, name_of
from .served_adapters import ServedAdapter, adapter_path, load_adapters

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded
    from tramontane.tasks.opening import Opened

log = logging.getLogger(__name__)
ANY = "*"
"""As an alias: every name that no model has."""
CONTEXTS = 4
"""How many full contexts the cache holds by default, memory allowing."""


def load(settings: ModelSettings) -> Opened:
    """Load a model and start its engine, if it has one. Raises TramontaneError."""
    from tramontane.checkpoint.load_options import LoadOptions, rope_overrides
    from tramontane.engine.options import EngineOptions
    from tramontane.hub.options import HubOptions
    from tramontane.media.options import MediaOptions
    from tramontane.memory import free
    from tramontane.registry import Registry
    from tramontane.system.gc_pause import keep_imports
    from tramontane.tasks.opening import open_model
    from tramontane.tasks.queue import QueueOptions

    keep_imports()
    registry = Registry.from_environment()

    def engine(loaded: Loaded) -> EngineOptions:
        tokens = settings.kv_tokens
        if tokens is None and settings.kv_memory is None:
            each = loaded.bytes_per_token
            context = loaded.context_length
            if each:
                tokens = max(context, min(CONTEXTS * context, free() // 2 // each))
        return EngineOptions(
            batch_size=settings.batch_size,
            max_batched_tokens=settings.max_batched_tokens,
            max_seqs=settings.max_seqs,
            state_slots=settings.state_slots,
            media_cache=settings.media_cache,
            kv_tokens=tokens,
            kv_memory=settings.kv_memory,
            prefix_cache=settings.prefix_cache,
            max_waiting=settings.max_waiting,
            queue_timeout=settings.queue_timeout,
        )

    model = open_model(
        settings.model,
        hub=HubOptions(
            revision=settings.revision,
            token_source=settings.token_source,
            cache_dir=settings.hf_cache,
        ),
        options=LoadOptions(
            device=settings.device,
            gpu_layers=settings.gpu_layers,
            device_map=settings.device_map,
            n_cpu_moe=settings.n_cpu_moe,
            tp=settings.tp,
            tp_nodes=settings.tp_nodes,
            tp_timeout=settings.tp_timeout,
            interconnect=settings.interconnect,
            dtype=settings.dtype,
            threads=settings.threads,
            activations=settings.activations,
            kv_type=settings.kv_type,
            num_ctx=settings.num_ctx,
            media_cache=settings.media_cache,
            mmap=settings.mmap,
            force=settings.force,
            mmproj=settings.encoder_file,
            quant=settings.quant,
            isq=settings.isq,
            isq_organization=settings.isq_organization,
            topology=settings.topology,
            imatrix=settings.imatrix,
            calibration_file=settings.calibration_file,
            overrides=rope_overrides(settings.rope_freq_base, settings.rope_freq_scale),
            merge={
                name: (adapter_path(settings, source), weight)
                for name, (source, weight) in settings.merged().items()
            },
        ),
        engine=engine,
        queue=QueueOptions(max_waiting=settings.max_waiting, queue_timeout=settings.queue_timeout),
        registry=registry,
        text={
            "token_ids": False,
            "chat_template": settings.chat_template,
            "draft": settings.draft,
            "tool_caller": settings.tool_caller,
            "media": MediaOptions(
                max_edge=settings.max_edge,
                max_num_images=settings.max_num_images,
                video_fps=settings.video_fps,
            ),
        },
    )
    if model.task_only:
        try:
            model.runner(model.task)  # what it lacks is to show now, and not when somebody asks
        except BaseException:
            model.close()
            raise
    else:
        model.engine.chains.make_ready()
    return model


class Served:
    """One model. names: all that requests may give. status: unloaded, loading or loaded."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings, self.name = settings, name_of(settings)
        self.names = (self.name, *(name for name in settings.alias if name != ANY))
        self.adapters = {
            name: ServedAdapter(*given, lasting=True) for name, given in settings.adapters().items()
        }
        self.created = int(time.time())
        self.model: Opened | None = None
        self.used = time.monotonic()
        self.leases = 0
        self.may_load = True
        self._loading: asyncio.Task[Opened] | None = None
        self._requantizing = asyncio.Lock()
        self._answering = 0
        self._finished = asyncio.Event()

    @property
    def status(self) -> str:
        if self.model is not None:
            return "loaded"
        return "unloaded" if self._loading is None else "loading"

    async def load(self, *, logged: bool = True) -> Opened:
        """Load it if it is not loaded; concurrent callers wait for the same load. Raises ApiError.

        logged: whether the log says why it cannot be loaded; once, however many wait for it.
        """
        if self.model is not None:
            return self.model
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(logged))
        try:
            # one that does not wait any longer must not stop it for the others
            return await asyncio.shield(self._loading)
        except ApiError:
            if self.status != "loaded":
                raise
            return await self.load()  # it was to become another kind, and is what it was

    async def _load(self, logged: bool) -> Opened:
        try:
            self.model = await asyncio.to_thread(self._open)
            self.may_load = True
            self.used = time.monotonic()
        except TramontaneError as error:
            if logged:
                log.error("%s cannot be loaded: %s", self.name, error)
            # why names files of the server's: that is for its owner
            raise ApiError(
                503, f"{self.name} cannot be loaded: the server's log says why",
                code="model_not_loaded",
            ) from error  # fmt: skip
        finally:
            self._loading = None
        return self.model

    async def requantize(self, isq: str) -> Opened:
        """Load it again with `--isq` of another kind, once what it is answering is finished;
        requests that come meanwhile wait for it. Where that fails, it is loaded as it was. Raises
        ApiError.
        """
        async with self._requantizing:
            while self._loading is not None:
                await asyncio.wait([self._loading])
            self._loading = asyncio.create_task(self._anew(isq))
            return await asyncio.shield(self._loading)

    async def _anew(self, isq: str) -> Opened:
        before = self.settings
        try:
            model, self.model = self.model, None
            while self._answering:
                self._finished.clear()
                await self._finished.wait()
            if model is not None:
                await asyncio.to_thread(_close, model)
            self.settings = before.model_copy(update={"isq": isq})
            try:
                self.model = await asyncio.to_thread(self._open)
            except TramontaneError as error:
                log.error("%s cannot be quantized to %s: %s", self.name, isq, error)
                self.settings = before
                if model is not None:
                    self.model = await asyncio.to_thread(self._open)
                raise ApiError(
                    503, f"{self.name} cannot be quantized to {isq}: the server's log says why; "
                    "it is as it was", code="model_not_quantized",
                ) from error  # fmt: skip
            self.may_load = True
            self.used = time.monotonic()
        finally:
            self._loading = None
        return self.model

    def _open(self) -> Opened:
        """The model with its adapters. Raises TramontaneError; adapters that requests had loaded
        and that are not to be had any longer are dropped."""
        model = load(self.settings)
        try:
            load_adapters(model, self.settings, self.name, self.adapters)
        except TramontaneError:
            model.close()
            raise
        return model

    def adapter_path(self, source: str) -> Path:
        """Where an adapter is, once it is downloaded if need be. Raises TramontaneError."""
        return adapter_path(self.settings, source)

    def answers_as(self, name: str | None) -> str:
        """The model's name, or the adapter's that was asked for by `name`."""
        return name if name is not None and name in self.adapters else self.name

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While a request uses the loaded model."""
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1
            if not self._answering:
                self._finished.set()

    async def unload(self) -> None:
        """Unload it once its running requests have finished."""
        if self._loading is not None:
            await asyncio.shield(self._loading)
        model, self.model = self.model, None
        if model is not None:
            await asyncio.to_thread(_close, model)


class Catalog:
    """All of them, by name, and by their other names. "default" is the first."""

    def __init__(self, models: tuple[ModelSettings, ...]) -> None:
        self.models = {served.name: served for served in map(Served, models)}
        self.draining = False
        self._first = next(iter(self.models.values()))
        self._by_name = {name: served for served in self.models.values() for name in served.names}
        self._other = next((one for one in self.models.values() if ANY in one.settings.alias), None)

    def listed(self) -> list[tuple[Served, str]]:
        """All names that requests may give, and the models that they are of."""
        return [
            (served, name)
            for served in self.models.values()
            for name in (*served.names, *served.adapters)
        ]

    def adapter_of(self, name: str | None) -> str | None:
        """The adapter that a request names as its model; None where it is a model."""
        return None if name is None or self._of_adapter(name) is None else name

    def find(self, name: str | None) -> Served:
        """A model by the name that a request gives, its own or an adapter's; none, or "default":
        the first.

        Raises ApiError 404.
        """
        return (name is not None and self._of_adapter(name)) or self.find_model(name)

    def _of_adapter(self, name: str) -> Served | None:
        if name in self._by_name:
            return None
        return next((one for one in self.models.values() if name in one.adapters), None)

    def find_model(self, name: str | None) -> Served:
        """The same, but by a model's name only. Raises ApiError 404."""
        if name is None or (name == "default" and name not in self._by_name):
            return self._first
        found = self._by_name.get(name, self._other)
        if found is None:
            known = ", ".join(name for _, name in self.listed())
            raise ApiError(
                404, f"there is no model {name[:100]!r} here; there are: {known}",
                param="model", code="model_not_found",
            )  # fmt: skip
        return found

    @asynccontextmanager
    async def lease(
        self, name: str | None, task: str = "text"
    ) -> AsyncIterator[tuple[Served, Any]]:
        """A model that is loaded, a `LoadedModel` for the task "text", and stays so meanwhile.

        Raises ApiError; for a model of other tasks it names their routes.
        """
        served = self.find(name)
        if served.model is None and not served.may_load:
            raise ApiError(503, f"{served.name} was unloaded; POST /v1/models/reload to have it")
        served.leases += 1
        try:
            model = served.model or await served.load()
            if task not in model.tasks:
                raise _other_route(served.name, model.tasks)
            with served.answering():
                yield served, model
        finally:
            served.leases -= 1
            served.used = time.monotonic()

    async def start(self) -> None:
        """Load those that are to be loaded at the start. Raises ApiError; the log does not say why,
        as who starts the server does."""
        for served in self.models.values():
            if served.settings.load == "start":
                await served.load(logged=False)

    async def unload_idle(self, after: float) -> None:
        """Forever: unload models that were unused for `after` seconds."""
        while True:
            await asyncio.sleep(min(after / 4, 30.0))
            for served in self.models.values():
                idle = time.monotonic() - served.used
                if served.model is not None and not served.leases and idle > after:
                    log.warning("%s was idle for %.0f s and is unloaded", served.name, idle)
                    await served.unload()

    async def close(self) -> None:
        """Unload them all, whatever they do."""
        for served in self.models.values():
            model, served.model = served.model, None
            if model is not None:
                await asyncio.to_thread(model.close)


def _other_route(name: str, can: Sequence[str]) -> ApiError:
    """Where to ask a model that cannot do what it was asked for here."""
    from tramontane.tasks.task import TASKS

    known = [TASKS[each] for each in can if each in TASKS]
    does = " and ".join(each.does for each in known)
    routes = " or ".join(f"POST {each.routes[0]}" for each in known)
    return ApiError(
        400, f"the model {name} {does}, which is not what this path is for: {routes}",
        param="model", code="model_not_supported",
    )  # fmt: skip


def _close(model: Opened) -> None:
    model.drain(60)
    model.close()
