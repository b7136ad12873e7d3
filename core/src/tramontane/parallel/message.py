"""What rank 0 tells the others of each step: numbers only, read without trusting them further.

A message is one byte of kind, the length of a JSON object, that object, and then arrays: int64 as
its "ints" counts them, and float32 rows of media. Nothing in it can name code.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tramontane.engine.batch import Batch, MediaInput, Numbers, Span
from tramontane.engine.kv_cache import KVCache

from .group import PeerLost

BEGIN, BEAT, STEP, HIDDEN, END = range(5)
"""Kinds. BEGIN: what caches there are. BEAT: nothing; rank 0 is there. STEP: a step with logits.
HIDDEN: one up to the last norm. END: no more."""
HEAD = struct.Struct("<BI")


@dataclass
class Copies:
    """What was copied within caches since the last step, (source, target) each."""

    blocks: list[tuple[int, int]] = field(default_factory=list)
    states: list[tuple[int, int]] = field(default_factory=list)


def simple(kind: int, **about: Any) -> bytes:
    """A message without arrays."""
    return _message(kind, about, array("q"), b"")


def step_message(kind: int, tokens: Sequence[int], batch: Batch, copies: Copies) -> bytes:
    """kind: STEP or HIDDEN. tokens: ids of the step."""
    ints = array("q", tokens)
    for each in batch.numbers:
        ints.extend(each)
    spans = []
    for span in batch.spans:
        ints.extend(span.blocks)
        mutual = [list(pair) for pair in span.mutual]
        fields = [span.start, span.count, span.length, span.slot, len(span.blocks), mutual]
        spans.append([*fields, span.ahead])
    sections = []
    for span, places in batch._sections:
        index = next(i for i, each in enumerate(batch.spans) if each is span)
        sections.append([index, *places.shape])
        ints.extend(places.reshape(-1).tolist())
    about: dict[str, Any] = {
        "counts": [len(tokens), *map(len, batch.numbers)], "spans": spans,
        "copies": [copies.blocks, copies.states], "adapted": batch.adapted,
    }  # fmt: skip
    if sections:
        about["sections"] = sections
    rows = b""
    if batch.media is not None:
        ints.extend(batch.media.index)
        about["media"] = [len(batch.media.index), 0]
        if batch.media.rows is not None:
            held = batch.media.rows.detach().float().cpu().contiguous()
            about["media"][1] = held.shape[1]
            rows = held.numpy().tobytes()
    return _message(kind, about, ints, rows)


def _message(kind: int, about: dict[str, Any], ints: array[int], rows: bytes) -> bytes:
    head = json.dumps({**about, "ints": len(ints)}, separators=(",", ":")).encode()
    return b"".join((HEAD.pack(kind, len(head)), head, ints.tobytes(), rows))


@dataclass(frozen=True)
class Told:
    """A message that was read."""

    kind: int
    about: dict[str, Any]
    ints: list[int]
    rows: bytes

    @classmethod
    def of(cls, data: bytes) -> Told:
        """Raises PeerLost for what is no message."""
        try:
            kind, length = HEAD.unpack_from(data)
            end = HEAD.size + length
            about = json.loads(data[HEAD.size : end])
            rest = end + 8 * int(about["ints"])
            ints = array("q", data[end:rest])
            if kind > END or len(ints) != about["ints"]:
                raise ValueError(f"kind {kind}, {len(ints)} numbers")
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise PeerLost(f"rank 0 sent what is no message of this version: {error}") from error
        return cls(kind, about, ints.tolist(), data[rest:])

    def step(self, cache: KVCache) -> tuple[list[int], Batch]:
        """The tokens and the batch of a step, for this rank's cache."""
        at = 0

        def take(count: int) -> list[int]:
            nonlocal at
            at += count
            return self.ints[at - count : at]

        about = self.about
        tokens, *numbers = (take(count) for count in about["counts"])
        spans = []
        for start, count, length, slot, blocks, mutual, ahead in about["spans"]:
            pairs = tuple((one, other) for one, other in mutual)
            spans.append(Span(start, count, length, take(blocks), slot, pairs, ahead))
        batch = Batch(spans, Numbers(*numbers), cache)
        for index, levels, width in about.get("sections", ()):
            places = np.array(take(levels * width), np.int64).reshape(levels, width)
            batch.place(spans[index], places)
        if "media" in about:
            count, width = about["media"]
            index, rows = take(count), None
            if width:
                held = np.frombuffer(self.rows, np.float32).reshape(count, width)
                rows = torch.from_numpy(held.copy()).to(cache.device)
            batch.media = MediaInput(index, rows)
        batch.adapted = bool(about["adapted"])
        return tokens, batch
