"""State of the application, which every route needs: settings, models, metrics, generation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fastapi import Request

from .acting import Acting, Acts
from .dispatch import Dispatch
from .event_bridge import Generation, Mailbox
from .http.access import spent
from .http.errors import ApiError
from .http.keys import KeyRing
from .http.stream import EventStream
from .ignored import IgnoredLog
from .image_store import ImageStore
from .metrics import Metrics
from .model_manager import Catalog
from .openai.response_store import ResponseStore
from .settings import Settings
from .task_work import TaskWork

if TYPE_CHECKING:
    from tramontane.chat.toolbox import Function
    from tramontane.engine.request import Request as Asking
    from tramontane.mcp import McpServers
    from tramontane.model.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams
    from tramontane.tasks.opening import Opened
    from tramontane.tasks.queue import Work
    from tramontane.tools import Tool


Result = TypeVar("Result")


class Registered(NamedTuple):
    """The tools of a request that run here. acts: what those of toolsets do."""

    functions: list[Function]
    acts: Acts | None = None


class Serving:
    """One server's belongings; routes find it with `serving_of`. Raises ConfigError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = KeyRing(settings.keys(), settings.admin_keys())
        self.metrics = Metrics(by_key=settings.metrics_by_key)
        self.catalog = Catalog(settings.models)
        self.adapters_change = asyncio.Lock()
        self.metrics.watch(self.catalog)
        self.ignored = IgnoredLog()
        self.responses = ResponseStore(settings.stored_responses)
        self.images = ImageStore()
        self._mailbox: Mailbox | None = None
        self.mcp: McpServers | None = None
        self.dispatch = Dispatch(settings) if settings.tool_dispatch_url else None
        acts = bool(settings.tools) or settings.approvals is not None
        self.acting = Acting(settings) if acts else None
        self.fetch = settings.fetch()
        self._threads = None if self.fetch is None else ThreadPoolExecutor(2 * self.fetch.slots)

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What makes a prompt, in a thread; of other threads than all else where that may wait for
        the web, which takes up half of them at most."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *arguments))

    async def encode(self, model: LoadedModel, text: str | Sequence[int]) -> tuple[int, ...]:
        """Prompt of a text, or of token ids."""
        return await asyncio.to_thread(model.encode, text)

    def registered_tools(
        self,
        client_tools: Sequence[Tool],
        media: Iterable[str] = (),
        session: str | None = None,
        *,
        asks: bool = False,
    ) -> Registered:
        """Tools that the server's owner registered. client_tools: the request's own; those of them
        that the owner wants to run are among what is returned. media: what the model takes.
        session, asks: as `Acting.begin` has them. Not for the event loop. Raises TramontaneError.
        """
        found = [] if self.dispatch is None else self.dispatch.functions(client_tools)
        taken = {tool.name for tool in client_tools}
        if self.mcp is not None:
            found += self.mcp.functions(taken | {one.tool.name for one in found})
        acts = None if self.acting is None else self.acting.begin(session, media, asks=asks)
        if acts is not None:
            taken |= {one.tool.name for one in found}
            found += [one for one in acts.functions if one.tool.name not in taken]
        return Registered(found, acts)

    def limited(self, params: SamplingParams, *, by_default: bool = False) -> SamplingParams:
        """Within what the server's owner allows. by_default: max_tokens is not the request's own.

        Raises ApiError for more than that.
        """
        wanted = params.best_of or params.n
        if wanted > self.settings.max_n:
            name = "best_of" if params.best_of else "n"
            raise ApiError(
                400,
                f"{name}={wanted}: this server gives at most {self.settings.max_n}",
                param=name,
                code="invalid_value",
            )
        most = self.settings.max_new_tokens
        if most is None:
            return params
        if params.max_tokens is not None and params.max_tokens > most and not by_default:
            raise ApiError(
                400, f"max_tokens={params.max_tokens}: this server gives at most {most}",
                param="max_tokens", code="invalid_value",
            )  # fmt: skip
        tokens = most if params.max_tokens is None else min(most, params.max_tokens)
        return params.model_copy(update={"max_tokens": tokens})

    def generate(self, model: LoadedModel, name: str, requests: Sequence[Asking]) -> Generation:
        """The answers to requests, to be entered."""
        if self._mailbox is None:
            self._mailbox = Mailbox(asyncio.get_running_loop())
        return Generation(model, name, requests, self._mailbox, self.metrics)

    def work(self, model: Opened, name: str, task: str, work: Work) -> TaskWork:
        """A piece of work of a model's queue, which the request's line in the log names."""
        spent(name)
        return TaskWork(model.queue, work, name=name, task=task, metrics=self.metrics)

    def stream(
        self, events: AsyncIterator[bytes], failed: Callable[[Exception], bytes]
    ) -> EventStream:
        """A stream with this server's limits."""
        settings = self.settings
        return EventStream(
            events,
            failed,
            keep_alive=settings.keep_alive,
            timeout=settings.request_timeout,
            send_timeout=settings.send_timeout,
        )


def serving_of(request: Request) -> Serving:
    """The server that a request came to."""
    found: Serving = request.app.state.serving
    return found
