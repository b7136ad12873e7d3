"""Media among the parts of messages: taken out, whatever API they are written for."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from tramontane.errors import RequestError
from tramontane.media.bounds import data_of
from tramontane.media.files import file_bytes
from tramontane.media.processor import NAMES

TYPES = {
    "image": "image", "image_url": "image", "input_image": "image",
    "audio": "audio", "audio_url": "audio", "input_audio": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
}  # fmt: skip
"""Kinds of media by the types of their parts: transformers' and Anthropic's, then OpenAI's."""
ONE = {"image": "an image", "audio": "a sound", "video": "a video"}
"""What errors call one."""
MOST_ITEMS = 64
"""Images, sounds and videos in one conversation."""
PLACES = tuple({"type": kind} for kind in ONE)
"""What is left in a message in place of an item: the form that chat templates know."""


class Attached(NamedTuple):
    """One item of a conversation, not yet looked at. kind: "image", "audio" or "video". source:
    bytes, a path, or what Python has. where: how errors call it. part: the part of the message that
    it came in."""

    kind: str
    source: Any
    where: str
    part: Mapping[str, Any]


def take_media(
    messages: object, *, local: bool = True, kinds: Collection[str] = tuple(ONE)
) -> tuple[object, list[Attached]]:
    """Messages with one of `PLACES` for each item, and the items in their order. local: whether an
    item may be named by its path. kinds: those that the model takes.

    What is no list of messages with parts is left for `checked` to refuse. Raises RequestError for
    parts that should be media and are none, for too many, and for those of other kinds.
    """
    found: list[Attached] = []
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return messages, found
    taken = [
        _from_message(message, index, found, local, kinds) for index, message in enumerate(messages)
    ]
    if len(found) > MOST_ITEMS:
        names = " and ".join(sorted({TYPES[each.part["type"]] for each in found}))
        raise RequestError(
            f"the conversation has {len(found)} parts of type {names}, more than {MOST_ITEMS}"
        )
    return taken, found


def refuse_kind(where: str, kind: str, kinds: Collection[str]) -> NoReturn:
    """Raises RequestError: the model takes none of a kind."""
    takes = (
        " and ".join(["text", *(NAMES[each] for each in sorted(kinds))]) if kinds else "text only"
    )
    raise RequestError(
        f"{where} is {ONE[kind]}, but this model takes {takes}: leave it out, or describe it in "
        "words"
    )


def _from_message(
    message: Any, index: int, found: list[Attached], local: bool, kinds: Collection[str]
) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return message
    parts = []
    for number, part in enumerate(content):
        kind = TYPES.get(str(part.get("type"))) if isinstance(part, Mapping) else None
        if kind is not None:
            where = f"message {index}, part {number}"
            if kind not in kinds:
                refuse_kind(where, kind, kinds)
            found.append(Attached(kind, _source(part, kind, where, local), where, part))
            parts.append({"type": kind})
        else:
            parts.append(part)
    return {**message, "content": parts}


def _source(part: Mapping[str, Any], kind: str, where: str, local: bool) -> Any:
    if isinstance(source := part.get("source"), Mapping):  # Anthropic's
        if source.get("type") == "base64" and isinstance(source.get("data"), str):
            return data_of(f"data:{source.get('media_type', '')};base64,{source['data']}", where)
        if source.get("type") == "url":
            return _url(source.get("url"), "source.url", where, local)
        raise RequestError(f"{where}: source.type is base64 or url, not {source.get('type')!r:.40}")
    given = part.get(f"input_{kind}")  # OpenAI's sounds: base64 without a URL, and a format
    if isinstance(given, Mapping) and isinstance(given.get("data"), str):
        data = given["data"]
        return data_of(data if data[:5] == "data:" else f"data:;base64,{data}", where)
    name = f"{kind}_url"
    url = part.get(name)
    if isinstance(url, Mapping):
        url = url.get("url")
    if url is not None or part["type"] == name:
        return _url(url, name, where, local)
    for name in (kind, "path", "url"):
        if name in part:
            value = part[name]
            if isinstance(value, str):
                return _url(value, name, where, local)
            if not local:
                break
            if "sampling_rate" in part and hasattr(value, "__array__"):  # of a sound
                return value, part["sampling_rate"]
            return value
    wanted = (
        "input_audio with data in base64" if kind == "audio" else f"{kind}_url with a data: URL"
    )
    own = {
        "image": "a PIL image or an array",
        "audio": "an array with its sampling_rate",
        "video": "an array of frames",
    }
    raise RequestError(
        f"{where} is {ONE[kind]} without one: give {wanted}"
        + (f", or {kind} with a path, bytes, {own[kind]}" if local else "")
    )


def _url(url: Any, field: str, where: str, local: bool) -> Any:
    """Bytes of a data: URL, or a path."""
    if not isinstance(url, str):
        raise RequestError(f"{where}: {field} should be a text, not {url!r:.40}")
    if url[:5].lower() == "data:":
        return data_of(url, where)
    if url[:8].lower().startswith(("http://", "https://")):
        raise RequestError(
            f"{where}: {url:.80} is not fetched: load it yourself and send it as a data: URL "
            "(data:TYPE;base64,...)"
        )
    if not local:
        raise RequestError(
            f"{where}: {url[:40]!r} is no data: URL (data:TYPE;base64,...), and this server "
            "reads no files"
        )
    return unquote(urlsplit(url).path) if url.startswith("file://") else url


def put_media(
    messages: Sequence[Mapping[str, Any]], items: Sequence[Attached]
) -> list[dict[str, Any]]:
    """Messages of `take_media`, or the last of them, with the parts that were taken out."""
    rest = list(items)[len(items) - places(messages) :]

    def whole(message: Mapping[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, list):
            return dict(message)
        parts = [rest.pop(0).part if part in PLACES else part for part in content]
        return {**message, "content": parts}

    return [whole(message) for message in messages]


def places(messages: Sequence[Mapping[str, Any]]) -> int:
    """For how many items the messages have a place."""
    contents = [message.get("content") for message in messages]
    return sum(
        part in PLACES for content in contents if isinstance(content, list) for part in content
    )


def attached_file(path: Path, kind: str) -> Attached:
    """A file, whose part of a message can be kept as JSON. Raises RequestError."""
    data = file_bytes(path, f"the {kind}")
    type_ = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    url = f"data:{type_};base64,{base64.b64encode(data).decode()}"
    return Attached(kind, data, str(path), {"type": kind, kind: url})
