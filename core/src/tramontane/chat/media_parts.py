"""Media among the parts of messages: taken out, whatever API they are written for."""

from __future__ import annotations

import base64
import mimetypes
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from tramontane.errors import EngineBusy, RequestError
from tramontane.media.bounds import data_of
from tramontane.media.fetch import Fetch, Fetching
from tramontane.media.files import file_bytes
from tramontane.media.options import MOST_ITEMS
from tramontane.media.processor import NAMES, Given

TYPES = {
    "image": "image", "image_url": "image", "input_image": "image",
    "audio": "audio", "audio_url": "audio", "input_audio": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
}  # fmt: skip
"""Kinds of media by the types of their parts: transformers' and Anthropic's, then OpenAI's. What a
`file` or an `input_file` is of, its data: URL says."""
FILES = ("file", "input_file")
WEB = ("http://", "https://")
ONE = {"image": "an image", "audio": "a sound", "video": "a video"}
"""What errors call one."""
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
    messages: object,
    *,
    local: bool = True,
    kinds: Collection[str] = tuple(ONE),
    most_images: int = MOST_ITEMS,
    fetching: Fetching | None = None,
) -> tuple[object, list[Attached]]:
    """Messages with one of `PLACES` for each item, and the items in their order. local: whether an
    item may be named by its path. kinds: those that the model takes. fetching: None where nothing
    of the web is fetched.

    What is no list of messages with parts is left for `checked` to refuse. Raises RequestError for
    parts that should be media and are none, for too many, and for those of other kinds.
    """
    found: list[Attached] = []
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return messages, found
    taken = [_from_message(message, index, found, kinds) for index, message in enumerate(messages)]
    counts = Counter(each.kind for each in found)
    for kind, count in counts.items():
        most = most_images if kind == "image" else MOST_ITEMS
        if count > most:
            raise RequestError(f"the conversation has {count} {NAMES[kind]}, more than {most}")
    way = _Way(local, fetching)
    return taken, [each._replace(source=_source(each, way)) for each in found]


class _Way(NamedTuple):
    """How media may be reached beside data: URLs."""

    local: bool
    fetching: Fetching | None


def refuse_kind(where: str, kind: str, kinds: Collection[str]) -> NoReturn:
    """Raises RequestError: the model takes none of a kind."""
    takes = (
        " and ".join(["text", *(NAMES[each] for each in sorted(kinds))]) if kinds else "text only"
    )
    raise RequestError(
        f"{where} is {ONE[kind]}, but this model takes {takes}: leave it out, or describe it in "
        "words"
    )


def _from_message(message: Any, index: int, found: list[Attached], kinds: Collection[str]) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return message
    parts = []
    for number, part in enumerate(content):
        where = f"message {index}, part {number}"
        kind = _kind(part, where) if isinstance(part, Mapping) else None
        if kind is not None:
            if kind not in kinds:
                refuse_kind(where, kind, kinds)
            found.append(Attached(kind, None, where, part))
            parts.append({"type": kind})
        else:
            parts.append(part)
    return {**message, "content": parts}


def _kind(part: Mapping[str, Any], where: str) -> str | None:
    """What kind of media a part is; None: none. Raises RequestError for other files."""
    told = str(part.get("type"))
    if told not in FILES:
        return TYPES.get(told)
    file = _file(part)
    if file.get("file_id") is not None:
        raise RequestError(f"{where}: there are no stored files here: send file_data, a data: URL")
    url = file.get("file_data") or file.get("file_url")
    if not isinstance(url, str):
        raise RequestError(f"{where} is a file without file_data: give a data: URL in base64")
    type_ = url[5:].partition(";")[0] if url[:5].lower() == "data:" else ""
    named = file.get("filename") if url is file.get("file_data") else urlsplit(url).path
    type_ = type_ or mimetypes.guess_type(str(named or ""))[0] or ""
    kind = type_.lower().partition("/")[0]
    if not kind:
        raise RequestError(
            f"{where} is a file of unknown type: say it in file_data, a data: URL such as "
            "data:image/png;base64,..., or by a filename with an ending, such as photo.png"
        )
    if kind not in ONE:
        raise RequestError(
            f"{where} is a file of type {type_!r:.60}: only files of image, audio and video are "
            "taken; send the text of others as text"
        )
    return kind


def _file(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAI's files: in a field of chat completions' parts, flat in those of responses."""
    inner = part.get("file")
    return inner if isinstance(inner, Mapping) else part


def _source(item: Attached, way: _Way) -> Any:
    part, kind, where = item.part, item.kind, item.where
    if part["type"] in FILES:
        file = _file(part)
        if (data := file.get("file_data")) is None:
            return _url(file["file_url"], "file_url", item, way)
        return data_of(data if data[:5].lower() == "data:" else f"data:;base64,{data}", where)
    if isinstance(source := part.get("source"), Mapping):  # Anthropic's
        if source.get("type") == "base64" and isinstance(source.get("data"), str):
            return data_of(f"data:{source.get('media_type', '')};base64,{source['data']}", where)
        if source.get("type") == "url":
            return _url(source.get("url"), "source.url", item, way)
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
        return _url(url, name, item, way)
    for name in (kind, "path", "url"):
        if name in part:
            value = part[name]
            if isinstance(value, str):
                return _url(value, name, item, way)
            if not way.local:
                break
            if "sampling_rate" in part and hasattr(value, "__array__"):  # of a sound
                return value, part["sampling_rate"]
            return Given(value, part["fps"]) if kind == "video" and "fps" in part else value
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
        + (f", or {kind} with a path, bytes, {own[kind]}" if way.local else "")
    )


def _url(url: Any, field: str, item: Attached, way: _Way) -> Any:
    """Bytes of a data: URL or of what is fetched, or a path."""
    where = item.where
    if not isinstance(url, str):
        raise RequestError(f"{where}: {field} should be a text, not {url!r:.40}")
    if url[:5].lower() == "data:":
        return data_of(url, where)
    if url[:8].lower().startswith(WEB):
        if way.fetching is None:
            more = "; LLM(fetch=True) lets it be fetched" if way.local else ""
            raise RequestError(
                f"{where}: {url:.80} is not fetched: load it yourself and send it as a data: URL "
                f"(data:TYPE;base64,...){more}"
            )
        try:
            return way.fetching(url, item.kind)
        except EngineBusy:
            raise
        except RequestError as error:
            raise RequestError(f"{where}: {error}") from error
    if not way.local:
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


def attached_file(named: str | Path, kind: str) -> Attached:
    """A file, a data: URL, or what is at an address of the web, that the user wrote; as a part of a
    message that can be kept as JSON. Raises RequestError."""
    name = str(named)
    if name[:5].lower() == "data:":
        where = f"the {kind} in a data: URL"
        return Attached(kind, data_of(name, f"the {kind}"), where, {"type": kind, kind: name})
    if name.startswith("file://"):
        name = unquote(urlsplit(name).path)
    if name[:8].lower().startswith(WEB):
        data = Fetch(anywhere=True).begin()(name, kind)
        name = urlsplit(name).path
    else:
        data = file_bytes(Path(name), f"the {kind}")
    type_ = mimetypes.guess_type(name)[0] or "application/octet-stream"
    url = f"data:{type_};base64,{base64.b64encode(data).decode()}"
    return Attached(kind, data, str(named), {"type": kind, kind: url})
