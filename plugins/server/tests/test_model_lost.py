"""A model whose device or rank is gone: requests get 503, and checks say that a restart helps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from tramontane.engine.request import Finished, Request, RequestResult, Timings, Usage
from tramontane.errors import EngineBusy, ModelLost
from tramontane.sampling_params import SamplingParams
from tramontane.tasks.answered import answered
from tramontane_plugin_server.app import build
from tramontane_plugin_server.app_state import Serving
from tramontane_plugin_server.event_bridge import _check
from tramontane_plugin_server.http.errors import api_error
from tramontane_plugin_server.settings import read

WHY = "rank 1 was ended by SIGKILL; the model has to be loaded again"


def ended(*, lost: bool) -> RequestResult:
    return RequestResult(
        id="x", text="", token_ids=(), finish_reason="error", usage=Usage(1, 0),
        timings=Timings(0, 0, 0), seed=0, error=WHY, busy=True, lost=lost,
    )  # fmt: skip


@pytest.mark.parametrize("lost", [True, False])
def test_who_waits_gets_503_when_it_is_lost_and_429_when_it_is_busy(lost: bool) -> None:
    def submit(request: Request, sink: Any) -> Any:
        sink(Finished(request.id, "", ended(lost=lost)))
        return lambda: None

    def of_a_task() -> None:
        engine: Any = SimpleNamespace(submit=submit)
        list(answered(engine, Request(prompt=(1,), params=SamplingParams())))

    for ask in (of_a_task, lambda: _check(ended(lost=lost))):
        with pytest.raises(ModelLost if lost else EngineBusy, match="SIGKILL") as caught:
            ask()
        found = api_error(caught.value)
        expected = (503, "model_lost", None) if lost else (429, "queue_full", 1.0)
        assert (found.status, found.code, found.retry_after) == expected
        assert WHY in str(found)


@pytest.mark.parametrize(("lost", "expected"), [
    ("", {"/health": (200, "ok"), "/ready": (200, "ready")}),
    (WHY, {
        "/health": (503, "a model's device or rank is lost: restart"),
        "/ready": (503, f"small: restart: {WHY}"),
    }),
])  # fmt: skip
def test_checks_say_that_a_restart_helps(lost: str, expected: dict[str, Any]) -> None:
    serving = Serving(read(None, {}))
    model = SimpleNamespace(engine=SimpleNamespace(lost=lost))
    settings = SimpleNamespace(load="start")
    served: Any = SimpleNamespace(name="small", model=model, may_load=True, settings=settings)
    serving.catalog.models = {"small": served}
    app = build(serving)

    async def act(path: str) -> tuple[int, str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get(path)
            return answer.status_code, answer.json()["status"]

    assert {path: asyncio.run(act(path)) for path in expected} == expected
