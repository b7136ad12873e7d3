"""Damaged files: a CheckpointError or success, nothing else, and no memory that a file asks for."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from tramontane.errors import CheckpointError
from tramontane_quant_gguf.container import open_gguf
from tramontane_quant_gguf.header import read_header
from tramontane_quant_gguf.sample import write_sample
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import Value, Written, write_gguf

INTERESTING = (0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF)


def use(path: Path) -> bool:
    """Whether the file is accepted, with all that can be asked of it."""
    try:
        checkpoint = open_gguf(path)
        for name in checkpoint.header.tensors:
            checkpoint.read(name)
        checkpoint.chat_template()
        checkpoint.generation_defaults()
        repr(checkpoint.header.metadata)
        checkpoint.tokenizer().encode("ab the thes\n\n é")
    except CheckpointError as error:
        if str(path) not in str(error):
            raise
        return False
    return True


def vocabulary(kind: str) -> dict[str, Value]:
    letters = ["\u2581", "a", "b", "ab", "t", "h", "e", "th", "the", "\u2581the", "##s", "[UNK]"]
    tokens = ["<pad>", "</s>", "<unk>", *letters, *sorted(ByteLevel.alphabet())[:40]]
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": kind,
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(rank) for rank in range(len(tokens))],
        "tokenizer.ggml.token_type": [3, 3, 2, *[1] * (len(tokens) - 3)],
        "tokenizer.ggml.merges": ["a b", "t h", "th e", "\u2581 the"],
        "tokenizer.ggml.unknown_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
    }


KINDS = ("sample", "types", "gpt2", "gemma4", "llama", "t5", "bert")


def of_every_type() -> list[Written]:
    """A matrix of each type of weights, and the second scale of NVFP4's."""
    made = [
        Written(
            f"{stored.name}.weight", number, (2, 256), bytes(512 // stored.block * stored.nbytes)
        )
        for number, stored in STORED.items()
        if not stored.name.startswith("I") or stored.name.startswith("IQ")
    ]
    return [*made, Written("NVFP4.scale", 0, (1,), bytes(4))]


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mutated.gguf"
    if kind == "sample":
        raw = write_sample(path).read_bytes()
    elif kind == "types":
        raw = write_gguf(path, vocabulary("llama"), of_every_type()).read_bytes()
    else:
        raw = write_gguf(path, vocabulary(kind), []).read_bytes()
    chance = random.Random(20)
    accepted = 0
    tracemalloc.start()
    for _ in range(300):
        mutated = bytearray(raw)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(min(16384, len(raw)) if chance.random() < 0.9 else len(raw))
            mutated[place] = chance.choice((*INTERESTING, chance.randrange(256)))
        if chance.random() < 0.2:
            del mutated[chance.randrange(len(mutated)) :]
        path.write_bytes(mutated)
        accepted += use(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert accepted
    assert peak < 20 * len(raw) + (1 << 20)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 3))
def test_any_bytes_after_the_magic_are_read_or_refused(rest: bytes, tensors: int, kv: int) -> None:
    counts = tensors.to_bytes(8, "little") + kv.to_bytes(8, "little")
    raw = b"GGUF\x03\x00\x00\x00" + counts + rest
    try:
        read_header(memoryview(raw), Path("any"))
    except CheckpointError:
        return
    assert tensors == 0


@pytest.mark.parametrize("kind", [8, 9], ids=["strings", "arrays"])
def test_the_densest_header_costs_a_small_multiple_of_its_size(kind: int) -> None:
    element = bytes(8) if kind == 8 else (4).to_bytes(4, "little") + bytes(8)
    count = 50_000
    raw = (
        b"GGUF\x03\x00\x00\x00" + bytes(8) + (1).to_bytes(8, "little")
        + (1).to_bytes(8, "little") + b"k" + (9).to_bytes(4, "little")
        + kind.to_bytes(4, "little") + count.to_bytes(8, "little") + element * count
    )  # fmt: skip
    tracemalloc.start()
    header = read_header(memoryview(raw), Path("dense"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(header.metadata["k"]) == count
    assert peak < 4 * len(raw)
