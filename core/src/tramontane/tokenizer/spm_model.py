"""A SentencePiece `tokenizer.model` file: pieces with scores, and how text is prepared for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tramontane.errors import CheckpointError

from .protobuf import Value, fields
from .spm import NORMAL, Piece

MODELS: dict[int, Literal["bpe", "unigram"]] = {1: "unigram", 2: "bpe"}
"""model_type in TrainerSpec; 3 (word) and 4 (char) are in no language model."""


@dataclass(frozen=True)
class SpmModel:
    """What the file says. Ids are None where the model has no such piece."""

    pieces: tuple[Piece, ...]
    model: Literal["bpe", "unigram"]
    byte_fallback: bool
    add_prefix: bool
    collapse_spaces: bool
    charsmap: bytes
    unk_id: int
    bos_id: int | None
    eos_id: int | None


def read_spm(data: bytes) -> SpmModel:
    """Parse a SentencePiece model file. Field numbers and defaults: sentencepiece_model.proto.

    Raises CheckpointError if it is not such a model, is truncated, or uses a feature that
    `tokenizers` does not support.
    """
    pieces: list[Piece] = []
    trainer: dict[int, Value] = {}
    normalizer: dict[int, Value] = {}
    for number, value in fields(data):
        if number == 1:
            pieces.append(_piece(value, len(pieces)))
        elif number == 2:
            trainer.update(fields(_message(value, "trainer_spec")))
        elif number == 3:
            normalizer.update(fields(_message(value, "normalizer_spec")))
    if not pieces:
        raise CheckpointError("it has no pieces, so it is no SentencePiece model")
    kind = _number(trainer, 3, 1)
    if kind not in MODELS:
        raise CheckpointError(f"SentencePiece model_type {kind} is neither unigram (1) nor BPE (2)")
    if _number(trainer, 24, 0):
        raise CheckpointError("SentencePiece's treat_whitespace_as_suffix is not supported")
    charsmap = normalizer.get(2, b"")
    return SpmModel(
        pieces=tuple(pieces),
        model=MODELS[kind],
        byte_fallback=bool(_number(trainer, 35, 0)),
        add_prefix=bool(_number(normalizer, 3, 1)),
        collapse_spaces=bool(_number(normalizer, 4, 1)),
        charsmap=_message(charsmap, "precompiled_charsmap"),
        unk_id=_id(trainer, 40, 0, len(pieces)) or 0,
        bos_id=_id(trainer, 41, 1, len(pieces)),
        eos_id=_id(trainer, 42, 2, len(pieces)),
    )


def _piece(value: Value, index: int) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, part in fields(_message(value, f"piece {index}")):
        if number == 1 and isinstance(part, bytes):
            try:
                text = part.decode("utf-8")
            except UnicodeDecodeError as error:
                raise CheckpointError(f"piece {index} is not UTF-8: {error}") from error
        elif number == 2 and isinstance(part, float):
            score = part
        elif number == 3 and isinstance(part, int):
            kind = part
    return text, score, kind


def _message(value: Value, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise CheckpointError(f"{what} should be bytes, but is a number")
    return value


def _number(message: dict[int, Value], number: int, default: int) -> int:
    value = message.get(number, default)
    if not isinstance(value, int):
        raise CheckpointError(f"field {number} of the SentencePiece model should be an integer")
    return value


def _id(found: dict[int, Value], number: int, default: int, count: int) -> int | None:
    value = _number(found, number, default)
    if value >= 1 << 63:  # protobuf writes -1, "no such piece", as 64 bits
        return None
    return value if value < count else None
