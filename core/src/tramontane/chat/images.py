"""Images among the parts of messages: taken out, whatever API they are written for."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from tramontane.errors import RequestError
from tramontane.media.bounds import data_of
from tramontane.media.files import file_bytes

TYPES = ("image", "image_url", "input_image")
"""Types of parts that are an image: transformers' and Anthropic's, OpenAI's chat and responses."""
MOST_IMAGES = 64
"""Images in one conversation."""
PLACE = {"type": "image"}
"""What is left in a message in place of an image: the form that chat templates know."""


class Image(NamedTuple):
    """An image of a conversation, not yet looked at. source: bytes, a path, or what Python has.
    where: how errors call it. part: the part of the message that it came in."""

    source: Any
    where: str
    part: Mapping[str, Any]


def take_images(
    messages: object, *, local: bool = True, sees: bool = True
) -> tuple[object, list[Image]]:
    """Messages with a `PLACE` for each image, and the images in their order. local: whether an
    image may be named by its path. sees: whether the model takes any.

    What is no list of messages with parts is left for `checked` to refuse. Raises RequestError for
    parts that should be an image and are none, for too many, and for any where the model takes
    none.
    """
    found: list[Image] = []
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return messages, found
    taken = [
        _from_message(message, index, found, local, sees) for index, message in enumerate(messages)
    ]
    if len(found) > MOST_IMAGES:
        raise RequestError(f"the conversation has {len(found)} images, more than {MOST_IMAGES}")
    return taken, found


def refuse_blind(where: str) -> NoReturn:
    """Raises RequestError: the model takes no images."""
    raise RequestError(
        f"{where} is an image, but this model takes text only: leave it out, or describe it in "
        "words"
    )


def _from_message(message: Any, index: int, found: list[Image], local: bool, sees: bool) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return message
    parts = []
    for number, part in enumerate(content):
        if isinstance(part, Mapping) and part.get("type") in TYPES:
            where = f"message {index}, part {number}"
            if not sees:
                refuse_blind(where)
            found.append(Image(_source(part, where, local), where, part))
            parts.append(dict(PLACE))
        else:
            parts.append(part)
    return {**message, "content": parts}


def _source(part: Mapping[str, Any], where: str, local: bool) -> Any:
    if isinstance(source := part.get("source"), Mapping):  # Anthropic's
        if source.get("type") == "base64" and isinstance(source.get("data"), str):
            return data_of(f"data:{source.get('media_type', '')};base64,{source['data']}", where)
        if source.get("type") == "url":
            return _url(source.get("url"), where, local)
        raise RequestError(f"{where}: source.type is base64 or url, not {source.get('type')!r:.40}")
    url = part.get("image_url")
    if isinstance(url, Mapping):
        url = url.get("url")
    if url is not None or part["type"] != "image":
        return _url(url, where, local)
    for name in ("image", "path", "url"):
        if name in part:
            value = part[name]
            if isinstance(value, str):
                return _url(value, where, local)
            if not local:
                break
            return value
    raise RequestError(
        f"{where} is an image without one: give image_url with a data: URL"
        + (", or image with a path, bytes, a PIL image or an array" if local else "")
    )


def _url(url: Any, where: str, local: bool) -> Any:
    """Bytes of a data: URL, or a path."""
    if not isinstance(url, str):
        raise RequestError(f"{where}: image_url should be a text, not {url!r:.40}")
    if url[:5].lower() == "data:":
        return data_of(url, where)
    if url[:8].lower().startswith(("http://", "https://")):
        raise RequestError(
            f"{where}: {url:.80} is not fetched: load it yourself and send it as a data: URL "
            "(data:image/png;base64,...)"
        )
    if not local:
        raise RequestError(
            f"{where}: {url[:40]!r} is no data: URL (data:image/png;base64,...), and this server "
            "reads no files"
        )
    return unquote(urlsplit(url).path) if url.startswith("file://") else url


def put_images(
    messages: Sequence[Mapping[str, Any]], images: Sequence[Image]
) -> list[dict[str, Any]]:
    """Messages of `take_images`, or the last of them, with the parts that were taken out."""
    rest = list(images)[len(images) - places(messages) :]

    def whole(message: Mapping[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, list):
            return dict(message)
        parts = [rest.pop(0).part if part == PLACE else part for part in content]
        return {**message, "content": parts}

    return [whole(message) for message in messages]


def places(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many images the messages have a `PLACE` for."""
    contents = [message.get("content") for message in messages]
    return sum(content.count(PLACE) for content in contents if isinstance(content, list))


def image_file(path: Path) -> Image:
    """A file, whose part of a message can be kept as JSON. Raises RequestError."""
    data = file_bytes(path, "the image")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return Image(data, str(path), {"type": "image", "image": url})
