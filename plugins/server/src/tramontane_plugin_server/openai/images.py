"""POST /v1/images/generations and /v1/images/edits, and the images at their addresses."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ConfigDict
from tramontane.tasks.image import ImageOptions, Images

from tramontane_plugin_server.app_state import Serving, serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.http.form import body_of, form_of, read_form
from tramontane_plugin_server.http.stream import while_here
from tramontane_plugin_server.ignored import Route

from .image_request import EditRequest, ImageRequest
from .shapes import ERRORS, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

router = APIRouter(route_class=Route)
QUALITY = 90
"""Of jpeg and webp, where nothing is said."""


class MadeImage(Shape):
    """An image, or where it is for an hour."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)
    b64_json: str | None = None
    url: str | None = None
    seed: int


class MadeImages(Shape):
    created: int
    data: list[MadeImage]
    size: str
    output_format: str


IMAGE = {"type": "string", "format": "binary", "description": "png, jpeg, webp and others"}


@router.post(
    "/v1/images/generations", response_model=MadeImages, response_model_exclude_unset=True,
    responses=ERRORS,
)  # fmt: skip
async def generations(request: Request, body: ImageRequest) -> dict[str, Any]:
    """Images of a description."""
    return await _answer(request, body, None)


@router.post(
    "/v1/images/edits", response_model=MadeImages, response_model_exclude_unset=True,
    responses=ERRORS, openapi_extra=form_of(EditRequest, "image", IMAGE),
)  # fmt: skip
async def edits(request: Request) -> dict[str, Any]:
    """Images of a description and an image to begin with, by models that take one."""
    body, image = await _form(request)
    return await _answer(request, body, image)


@router.get(
    "/v1/images/files/{name}", response_class=Response, include_in_schema=False,
)  # fmt: skip
async def stored(request: Request, name: str) -> Response:
    """An image that was made less than an hour ago; its name is all that it takes."""
    found = serving_of(request).images.get(name)
    if found is None:
        raise ApiError(404, "there is no such image, or its hour is over: make it again")
    headers = {"cache-control": "private, max-age=3600", "x-content-type-options": "nosniff"}
    return Response(found.data, media_type=found.media_type, headers=headers)


async def _answer(request: Request, body: ImageRequest, image: bytes | None) -> dict[str, Any]:
    serving = serving_of(request)
    asked = {**body.asked(), "image": image}
    if asked["n"] > serving.settings.max_n:
        raise ApiError(
            400, f"n={asked['n']}: this server gives at most {serving.settings.max_n}",
            param="n", code="invalid_value",
        )  # fmt: skip
    work = _made(serving, body, ImageOptions(**asked))
    found: Images = await while_here(request, work, serving.settings.request_timeout)
    kind = body.output_format or "png"
    quality = QUALITY if body.output_compression is None else body.output_compression
    files = await asyncio.to_thread(lambda: [_file(image, kind, quality) for image in found.images])
    data: list[dict[str, Any]] = []
    for file, seed in zip(files, found.seeds, strict=True):
        if body.response_format == "b64_json":
            data.append({"b64_json": base64.b64encode(file).decode(), "seed": seed})
        else:
            name = serving.images.put(file, kind, f"image/{kind}")
            data.append({"url": str(request.url_for("stored", name=name)), "seed": seed})
    height, width = found.images[0].shape[:2]
    return {
        "created": int(time.time()), "data": data, "size": f"{width}x{height}",
        "output_format": kind,
    }  # fmt: skip


async def _made(serving: Serving, body: ImageRequest, options: ImageOptions) -> Images:
    async with serving.catalog.lease(body.model, "image") as (served, model):
        runner = await asyncio.to_thread(model.runner, "image")
        if options.image is not None and not runner.edits:
            raise ApiError(
                400, f"{served.name} makes images of descriptions only: /v1/images/generations",
                param="image", code="unsupported_value",
            )  # fmt: skip
        work = await asyncio.to_thread(runner.images, body.prompt, options)
        found: Images = await serving.work(model, served.name, "image", work).finish()
        return found


async def _form(request: Request) -> tuple[EditRequest, bytes]:
    """Raises ApiError, RequestValidationError."""
    fields: dict[str, Any] = {}
    images: list[bytes] = []
    given = await read_form(request, ("image", "image[]"), "the image as `image`")
    for name, value in given:
        if isinstance(value, bytes):
            images.append(value)
        elif value != "":
            fields[name] = "a file" if value is None else value
    if len(images) != 1:
        what = "is required, as a file of the form" if not images else "should be one, not several"
        raise ApiError(400, f"image {what}", param="image")
    return body_of(request, EditRequest, fields), images[0]


def _file(image: NDArray[Any], kind: str, quality: int) -> bytes:
    from PIL import Image

    to = io.BytesIO()
    more = {} if kind == "png" else {"quality": quality}
    Image.fromarray(image).save(to, kind.upper(), **more)
    return to.getvalue()
