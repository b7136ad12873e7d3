"""A tiny model in a GGUF file, for the conformance kit to load, run and damage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from tramontane.tokenizer.spm import BYTE, CONTROL, NORMAL, SPACE, UNKNOWN

from .types import STORED
from .writer import Value, Written, write_gguf

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
F32, Q4_0, Q8_0 = 0, 2, 8

WORDS = ("th", "the", "he", "in", "an", "and", "er", "on", f"{SPACE}the", f"{SPACE}a", f"{SPACE}an")


def write_sample(path: Path, changes: Mapping[str, Value | None] | None = None) -> Path:
    """Write a llama of 2 layers with Q4_0, Q8_0 and F32 tensors and a tokenizer; the same bytes
    every time. path: the file, or a folder to put `sample.gguf` in. changes: metadata to add or to
    replace; None leaves a key out."""
    path = path / "sample.gguf" if path.is_dir() else path
    pieces = list(_pieces())
    metadata: dict[str, Value] = {
        "general.architecture": "llama",
        "general.name": "sample",
        "llama.block_count": LAYERS,
        "llama.context_length": 128,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": HIDDEN // HEADS,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in pieces],
        "tokenizer.ggml.scores": [score for _, score, _ in pieces],
        "tokenizer.ggml.token_type": [kind for _, _, kind in pieces],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": (
            "{{ bos_token }}{% for message in messages %}"
            "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}"
        ),
    }
    for key, value in (changes or {}).items():
        if value is None:
            metadata.pop(key, None)
        else:
            metadata[key] = value
    return write_gguf(path, metadata, _tensors(len(pieces)))


def _pieces() -> Iterator[tuple[str, float, int]]:
    yield "<unk>", 0.0, UNKNOWN
    yield "<s>", 0.0, CONTROL
    yield "</s>", 0.0, CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", 0.0, BYTE
    letters = [SPACE, *(chr(code) for code in range(ord("!"), ord("~") + 1))]
    for rank, text in enumerate([*letters, *WORDS]):
        yield text, float(-rank - 1), NORMAL


def _tensors(vocabulary: int) -> Iterator[Written]:
    random = np.random.default_rng(2026)
    narrow = HIDDEN // HEADS * KV_HEADS
    yield _matrix(random, "token_embd.weight", Q8_0, vocabulary, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield _ones(f"{block}.attn_norm.weight")
        yield _matrix(random, f"{block}.attn_q.weight", Q4_0, HIDDEN, HIDDEN)
        yield _matrix(random, f"{block}.attn_k.weight", Q4_0, narrow, HIDDEN)
        yield _matrix(random, f"{block}.attn_v.weight", Q8_0, narrow, HIDDEN)
        yield _matrix(random, f"{block}.attn_output.weight", Q4_0, HIDDEN, HIDDEN)
        yield _ones(f"{block}.ffn_norm.weight")
        yield _matrix(random, f"{block}.ffn_gate.weight", Q4_0, INNER, HIDDEN)
        yield _matrix(random, f"{block}.ffn_up.weight", Q4_0, INNER, HIDDEN)
        yield _matrix(random, f"{block}.ffn_down.weight", Q8_0, HIDDEN, INNER)
    yield _ones("output_norm.weight")
    yield _matrix(random, "output.weight", Q8_0, vocabulary, HIDDEN)


def _ones(name: str) -> Written:
    return Written(name, F32, (HIDDEN,), np.ones(HIDDEN, "<f4").tobytes())


def _matrix(random: np.random.Generator, name: str, kind: int, rows: int, columns: int) -> Written:
    """Blocks of random codes below scales that make the weights about 1 / sqrt(columns)."""
    stored = STORED[kind]
    blocks = random.integers(
        0, 256, (rows * columns // stored.block, stored.nbytes), dtype=np.uint8
    )
    spread = 128 if kind == Q8_0 else 8
    scale = 1.7 * columns**-0.5 / spread
    blocks[:, :2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return Written(name, kind, (rows, columns), blocks.tobytes())
