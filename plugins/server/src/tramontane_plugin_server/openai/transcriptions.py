"""POST /v1/audio/transcriptions and /v1/audio/translations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from tramontane.tasks.subtitles import TYPES, brief, verbose, written
from tramontane.tasks.transcribe import Segment, Transcript

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.form import body_of, form_of, read_form
from tramontane_plugin_server.http.stream import event, while_here
from tramontane_plugin_server.ignored import Route

from . import answer
from .shapes import ERRORS
from .transcription_request import FILE, TranscriptionRequest, TranslationRequest

if TYPE_CHECKING:
    from tramontane_plugin_server.task_work import TaskWork

router = APIRouter(route_class=Route)
LISTS = ("timestamp_granularities", "include", "known_speaker_names", "known_speaker_references")
"""Fields that may be given several times, with [] behind their names."""


class Asked(NamedTuple):
    """A form: its fields, and the bytes of its file."""

    body: Any
    sound: bytes


ANSWERS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "description": "The transcript, in the format that was asked for",
        "content": {
            kind: {} for kind in ("application/json", *TYPES.values(), "text/event-stream")
        },
    },
}


@router.post(
    "/v1/audio/transcriptions",
    summary="Write down speech",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra=form_of(TranscriptionRequest, "file", FILE, LISTS),
)
async def transcriptions(request: Request) -> Response:
    """The transcript; with `stream`, server-sent events as it is written."""
    serving = serving_of(request)
    asked = await _asked(request, TranscriptionRequest)
    if asked.body.stream:
        return serving.stream(_events(serving, asked), answer.failed)
    return await _answer(request, serving, asked, "transcribe")


@router.post(
    "/v1/audio/translations",
    summary="Write down speech in English",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra=form_of(TranslationRequest, "file", FILE, LISTS),
)
async def translations(request: Request) -> Response:
    """The transcript in English."""
    asked = await _asked(request, TranslationRequest)
    return await _answer(request, serving_of(request), asked, "translate")


async def _asked(request: Request, kind: type[TranslationRequest]) -> Asked:
    """Raises ApiError, RequestValidationError."""
    fields: dict[str, Any] = {}
    sound: bytes | None = None
    for name, value in await read_form(request, ("file",), "the sound as `file`"):
        if not isinstance(value, str):
            sound = sound if value is None else value
            continue
        plain = name.removesuffix("[]")
        if plain in LISTS:
            fields.setdefault(plain, []).append(value)
        elif name == "file":
            raise ApiError(400, "file should be a file of the form, not a text", param="file")
        elif value != "" or plain not in kind.model_fields:
            fields[plain] = value
    if sound is None:
        raise ApiError(400, "file is required: the sound, as a file of the form", param="file")
    return Asked(body_of(request, kind, fields), sound)


async def _answer(request: Request, serving: Serving, asked: Asked, task: str) -> Response:
    work = _transcript(serving, asked)
    found: Transcript = await while_here(request, work, serving.settings.request_timeout)
    kind = asked.body.response_format
    if kind in TYPES:
        return PlainTextResponse(written(found, kind, task), media_type=TYPES[kind])
    return JSONResponse(verbose(found, task) if kind == "verbose_json" else brief(found))


async def _transcript(serving: Serving, asked: Asked) -> Transcript:
    async with serving.catalog.lease(asked.body.model, "transcribe") as (served, model):
        work = await _work(serving, asked, served.name, model)
        found: Transcript = await work.finish()
        return found


async def _events(serving: Serving, asked: Asked) -> AsyncIterator[bytes]:
    async with serving.catalog.lease(asked.body.model, "transcribe") as (served, model):
        work = await _work(serving, asked, served.name, model)
        before = ""
        # a client that goes ends the work before the model is given back
        async with aclosing(aiter(work)) as parts:  # type: ignore[type-var]
            async for part in parts:
                text = part.text if isinstance(part, Segment) else part
                if not isinstance(text, str):
                    continue
                text = text if before else text.lstrip()
                before += text
                if text:
                    yield event({"type": "transcript.text.delta", "delta": text})
        done = brief(work.result)
        yield event({"type": "transcript.text.done", **done})


async def _work(serving: Serving, asked: Asked, name: str, model: Any) -> TaskWork:
    runner = await asyncio.to_thread(model.runner, "transcribe")
    options = asked.body.options()
    work = await asyncio.to_thread(runner.transcribe, asked.sound, options)
    return serving.work(model, name, "transcribe", work)
