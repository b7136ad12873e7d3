"""Every family from every kind of file on the CPU backend, in sizes that no register holds.

A few of the comparisons that `./dev parity` makes, and of the loads whose bits must be the same;
`./dev test --full` takes all sets of sizes, and activations of two bytes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .families import FAMILIES
from .families.odd import SETS, odd
from .forward import logits
from .paths import TOKENS, TOLERANCE, difference, expected, folders, opened, written
from .test_invariance import scheduled

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
CASES = [(family, name) for family in FAMILIES for name in (SETS if FULL else list(SETS)[:1])]
GGUF = [family for family, record in FAMILIES.items() if record.gguf is not None]
DTYPES = ["f32", "bf16", "f16"] if FULL else ["f32"]
TWO_BYTES = ["gemma", "gpt2", "falcon", "qwen2-moe", "deepseek-v3"]
"""Families of every activation function, for what runs as written with activations of two
bytes."""
ways = pytest.mark.parametrize(("family", "name"), CASES, ids=lambda each: str(each))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only get in each other's way over matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@ways
def test_every_way_from_a_folder(family: str, name: str, tmp_path: Path) -> None:
    found = {
        (way, device): difference(expected(theirs), path, device)
        for way, theirs, path in folders(family, odd(family, name), tmp_path)
        for device in (["reference", "cpu"] if way == "safetensors" else ["cpu"])
    }
    wrong = {key: value for key, value in found.items() if not value < TOLERANCE}
    assert not wrong


@pytest.mark.parametrize("family", GGUF)
def test_a_gguf_file(family: str, tmp_path: Path) -> None:
    for _, theirs, path in written(family, ("F32",), tmp_path, **odd(family, "shared", gguf=True)):
        assert difference(expected(theirs), path, "cpu") < TOLERANCE


@pytest.mark.parametrize("dtype", DTYPES)
@ways
def test_same_bits_at_odd_sizes(family: str, name: str, dtype: str, tmp_path: Path) -> None:
    same_bits(family, name, dtype, tmp_path)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("family", TWO_BYTES)
def test_same_bits_of_activations_of_two_bytes(family: str, dtype: str, tmp_path: Path) -> None:
    same_bits(family, "small", dtype, tmp_path)


def same_bits(family: str, name: str, dtype: str, folder: Path) -> None:
    """For every cache: alone, in chunks, and mixed with others."""
    _, _, path = next(folders(family, odd(family, name), folder))
    loaded = opened(path, "cpu", dtype=dtype)
    sequences = [TOKENS[:37], TOKENS[3:12], TOKENS[1:2]]
    for kept in (torch.float32, torch.float16, torch.int8):
        alone = [logits(loaded, [sequence], kept=kept)[0] for sequence in sequences]
        chance = random.Random(family)
        mixed = scheduled(loaded, sequences, chance, kept)
        others = [logits(loaded, sequences[:1], chunk=chunk, kept=kept)[0] for chunk in (3, 7)]
        for mine, bits in zip([*mixed, *others], [*alone, alone[0], alone[0]], strict=True):
            assert torch.equal(mine, bits), kept
