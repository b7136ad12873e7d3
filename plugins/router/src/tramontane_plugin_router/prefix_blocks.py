"""What a request begins with, as a chain of hashes: equal chains are equal beginnings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

BLOCK = 256
"""Characters of a block; longer ones behind the first `GROWS` of a chain, twice as long each time,
so that a prompt of a million characters has a few hundred."""
GROWS = 64
MOST_BLOCKS = 2048
"""Blocks of one request; what is behind them does not count for the choice of a replica."""
DIGEST = 12


class Chain(NamedTuple):
    """keys: a hash for each block, of everything up to its end. ends: whether the last one stands
    for the whole conversation, so that who has it goes on with that conversation."""

    keys: tuple[bytes, ...] = ()
    ends: bool = False


def chain_of(path: str, body: Any) -> Chain:
    """The chain of a parsed request; an empty one where its prompt is not to be cached."""
    if not isinstance(body, dict):
        return Chain()
    root = json.dumps([body.get(name) for name in ("model", "adapter", "tools")], sort_keys=True)
    if path == "/v1/chat/completions":
        return _chain([root, *_messages(body.get("messages"))])
    if path.startswith("/v1/messages"):
        return _chain([root, _text(body.get("system")), *_messages(body.get("messages"))])
    if path == "/v1/responses":
        given = body.get("input")
        items = [given] if isinstance(given, str) else _messages(given)
        return _chain([root, _text(body.get("instructions")), *items])
    if path == "/v1/completions":
        prompt = body.get("prompt")
        if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
            prompt = prompt[0]
        text = prompt if isinstance(prompt, str) else json.dumps(prompt)
        return _chain([root, text], open_end=True)
    return Chain()


def _messages(messages: Any) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            rest = {key: one for key, one in message.items() if key not in ("content", "id")}
            yield json.dumps(rest, sort_keys=True) + _text(message.get("content"))
        else:
            yield json.dumps(message)


def _text(content: Any) -> str:
    """The same for a text and for a list of one part that is this text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content)
    texts = (
        part["text"]
        if isinstance(part, dict) and isinstance(part.get("text"), str)
        else json.dumps(part, sort_keys=True)
        for part in content
    )
    return "\n".join(texts)


def _chain(pieces: Iterable[str], *, open_end: bool = False) -> Chain:
    """No block is of two pieces. open_end: the last one may be continued within."""
    keys: list[bytes] = []
    last = b""
    texts = list(pieces)
    for number, text in enumerate(texts):
        start, cut = 0, open_end and number == len(texts) - 1
        while start < len(text) or (start == 0 and not cut):
            size = BLOCK << min(12, len(keys) // GROWS)
            if cut and start + size > len(text):
                break
            if len(keys) == MOST_BLOCKS:
                return Chain(tuple(keys))  # what goes on behind them is not known
            part = text[start : start + size].encode("utf-8", "surrogatepass")
            last = blake2b(last + part, digest_size=DIGEST).digest()
            keys.append(last)
            start += size
    return Chain(tuple(keys), ends=not open_end and len(texts) > 1)
