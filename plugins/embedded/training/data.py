"""Batches of token rows: whole documents packed into rows, with targets where the model speaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from generator import DOCUMENT, Piece
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

CHUNK = 2000
FIRST, FIRST_WEIGHT = 8, 3.0
"""An answer's first tokens decide what it is about, so they weigh more than the rest."""
EXACT = ("<tool_call>", "{")
"""How answers begin of which every token has to be right, which all weigh as much."""

Row = tuple[NDArray[np.int64], NDArray[np.float32]]


class Batch(NamedTuple):
    """Tokens, what follows each, how much that counts and to which document each belongs."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    owners: Tensor


def encoded(tokenizer: Tokenizer, stream: Iterator[list[Piece]], longest: int) -> Iterator[Row]:
    """Documents as token ids and the weight of each in the loss; too long ones are left out."""
    (end,) = tokenizer.encode(DOCUMENT).ids
    while True:
        chunk = list(islice(stream, CHUNK))
        flat = tokenizer.encode_batch_fast([text for pieces in chunk for text, _ in pieces])
        at = 0
        for pieces in chunk:
            ids: list[int] = []
            weights: list[float] = []
            for text, learnt in pieces:
                piece = flat[at].ids
                ids += piece
                first = len(piece) if text.startswith(EXACT) else min(FIRST, len(piece))
                whole = [FIRST_WEIGHT] * first + [1.0] * (len(piece) - first)
                weights += whole if learnt else [0.0] * len(piece)
                at += 1
            ids.append(end)
            weights.append(0.0)
            if len(ids) <= longest:
                yield np.array(ids), np.array(weights, np.float32)


def rows(stream: Iterator[Row], length: int, pool_size: int = 96) -> Iterator[list[Row]]:
    """Groups of documents that fill rows of a length, with little left over.

    From a pool of waiting documents the longest that still fits goes next.
    """
    pool = list(islice(stream, pool_size))
    while True:
        parts: list[Row] = [pool.pop(0)]
        room = length - len(parts[0][0])
        while True:
            fitting = [i for i, (ids, _) in enumerate(pool) if len(ids) <= room]
            if not fitting:
                break
            # Always the longest would mean always stories; while there is room, the first come.
            longest = max(fitting, key=lambda i: len(pool[i][0]))
            parts.append(pool.pop(fitting[0] if room > length // 2 else longest))
            room -= len(parts[-1][0])
        pool += islice(stream, pool_size - len(pool))
        yield parts


def batches(
    tokenizer: Tokenizer, stream: Iterator[list[Piece]], size: int, length: int
) -> Iterator[Batch]:
    """Batches without end; what is padded has no weight."""
    packed = rows(encoded(tokenizer, stream, length + 1), length + 1)
    while True:
        ids = np.zeros((size, length + 1), np.int64)
        weights = np.zeros((size, length + 1), np.float32)
        owners = np.full((size, length + 1), -1, np.int64)
        for row, parts in enumerate(islice(packed, size)):
            at = 0
            for number, (part, weight) in enumerate(parts):
                here = slice(at, at + len(part))
                ids[row, here], weights[row, here], owners[row, here] = part, weight, number
                at += len(part)
        yield Batch(
            torch.from_numpy(ids[:, :-1].copy()),
            torch.from_numpy(ids[:, 1:].copy()),
            torch.from_numpy(weights[:, 1:].copy()),
            torch.from_numpy(owners[:, :-1].copy()),
        )
