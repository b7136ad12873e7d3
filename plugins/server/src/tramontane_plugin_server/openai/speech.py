"""POST /v1/audio/speech."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from tramontane.media.write_sound import TYPES, SoundWriter
from tramontane.tasks.speech import Sound

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.file_stream import FileStream
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route

from . import answer
from .shapes import ERRORS
from .speech_request import SpeechRequest

if TYPE_CHECKING:
    from tramontane_plugin_server.task_work import TaskWork

router = APIRouter(route_class=Route)
PCM_RATE = 24_000
"""Samples a second that OpenAI's clients take `pcm` to have."""
FILES: dict[str, Any] = {kind: {} for kind in (*sorted(set(TYPES.values())), "text/event-stream")}


@router.post(
    "/v1/audio/speech",
    summary="Speak a text",
    response_class=Response,
    responses={**ERRORS, 200: {"content": FILES, "description": "A file, or events with parts"}},
)
async def speech(request: Request, body: SpeechRequest) -> Response:
    """The text as a sound, sent as it is made; `wav` and `flac` when they are whole, unless
    `stream` asks for them before."""
    serving = serving_of(request)
    settings = serving.settings
    if body.stream_format == "sse":
        return serving.stream(_events(serving, body), answer.failed)
    kind = TYPES[body.response_format]
    if body.as_made:
        return FileStream(
            _parts(serving, body), kind,
            timeout=settings.request_timeout, send_timeout=settings.send_timeout,
        )  # fmt: skip
    data, seed = await while_here(request, _whole(serving, body), settings.request_timeout)
    return Response(data, media_type=kind, headers={"x-tramontane-seed": str(seed)})


async def _whole(serving: Serving, body: SpeechRequest) -> tuple[bytes, int]:
    async with serving.catalog.lease(body.model, "speech") as (served, model):
        work = await _work(serving, body, served.name, model)
        writer = _writer(body, model.runner("speech"))
        sound: Sound = await work.finish()
        return await asyncio.to_thread(writer.whole, sound.samples), sound.seed


async def _parts(serving: Serving, body: SpeechRequest) -> AsyncIterator[bytes]:
    """The file, as it is made."""
    async with serving.catalog.lease(body.model, "speech") as (served, model):
        work = await _work(serving, body, served.name, model)
        writer = _writer(body, model.runner("speech"))
        # a client that goes ends the work before the model is given back
        async with aclosing(aiter(work)) as parts:  # type: ignore[type-var]
            async for part in parts:
                if isinstance(part, Sound):
                    data = await asyncio.to_thread(writer.write, part.samples)
                    if data:
                        yield data
        if data := await asyncio.to_thread(writer.close):
            yield data


async def _events(serving: Serving, body: SpeechRequest) -> AsyncIterator[bytes]:
    size = 0
    async for data in _parts(serving, body):
        size += len(data)
        text = base64.b64encode(data).decode()
        yield event({"type": "speech.audio.delta", "audio": text})
    read = len(body.input.encode())
    usage = {"input_tokens": read, "output_tokens": size, "total_tokens": read + size}
    yield event({"type": "speech.audio.done", "usage": usage})


def _writer(body: SpeechRequest, runner: Any) -> SoundWriter:
    kind = body.response_format
    to = PCM_RATE if kind == "pcm" else None
    return SoundWriter(kind, runner.rate, to)


async def _work(serving: Serving, body: SpeechRequest, name: str, model: Any) -> TaskWork:
    runner = await asyncio.to_thread(model.runner, "speech")
    work = await asyncio.to_thread(runner.speak, body.input, body.options())
    return serving.work(model, name, "speech", work)
