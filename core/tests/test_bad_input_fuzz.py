"""Damaged headers and configurations end in an error that is told, and take no memory.

Rounds are few and seeded: the same every time. What hangs is found by the limit on the whole run.
"""

from __future__ import annotations

import json
import random
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import TramontaneError

from .refusal import checked, load
from .tiny_folder import CONFIG, write_folder

ROUNDS = 100
INTERESTING: list[Any] = [0, -1, 1, 2, 7, 255, 2**31, 2**63, 2**64, 10**30, 1e30, 1e-30,
               float("nan"), float("inf"), True, None, "", "x", "16", [], {}, [[]], [1, 2],
               {"a": 1}, "linear", "yarn", "llama3", "longrope", "dynamic", "default"]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def no_large_allocation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a file of 20 kB makes us take is bounded, by Python and by all the rest."""
    load(write_folder(tmp_path_factory.mktemp("first")))  # imports what loading needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # in kB


def survives(folder: Path, told: list[str]) -> None:
    """Loads, or says in one line why not; any other exception fails the test."""
    try:
        load(folder, num_ctx=16)
    except TramontaneError as error:
        told.append(checked(error).replace(str(folder), ""))


Mutation = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, draw: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8])):
        out[draw.randrange(len(out))] = draw.randrange(256)
    return bytes(out)


def drop(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    return data[:start] + data[start + draw.randrange(1, 20) :]


def repeat(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    part = data[start : start + draw.randrange(1, 60)]
    return data[:start] + part * draw.choice([2, 3, 50]) + data[start:]


def number(data: bytes, draw: random.Random) -> bytes:
    """One run of digits becomes another number."""
    starts = [i for i, c in enumerate(data) if 48 <= c < 58 and not 48 <= data[i - 1] < 58]
    start = end = draw.choice(starts)
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return data[:start] + str(draw.choice(INTERESTING[:13])).encode() + data[end:]


MUTATIONS: list[Mutation] = [flip, drop, repeat, number]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_safetensors_headers(tmp_path: Path, mutation: Mutation) -> None:
    path = write_folder(tmp_path) / "model.safetensors"
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    draw, told = random.Random(mutation.__name__), list[str]()
    for _ in range(ROUNDS):
        header = mutation(whole[8:end], draw)
        length = draw.choice([len(header), len(header), len(header), end - 8])
        path.write_bytes(length.to_bytes(8, "little") + header + whole[end:])
        survives(tmp_path, told)
    assert len(told) > ROUNDS // 2


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda f: f.__name__)
def test_configuration_bytes(tmp_path: Path, mutation: Mutation) -> None:
    path = write_folder(tmp_path) / "config.json"
    whole = path.read_bytes()
    draw, told = random.Random(mutation.__name__), list[str]()
    for _ in range(ROUNDS):
        path.write_bytes(mutation(whole, draw))
        survives(tmp_path, told)
    assert told


def test_configuration_values(tmp_path: Path) -> None:
    rope = {"rope_type": "linear", "factor": 2.0, "original_max_position_embeddings": 8,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0, "short_factor": [1.0] * 4,
            "long_factor": [1.0] * 4}  # fmt: skip
    full = {**CONFIG, "head_dim": 8, "rope_theta": 1e4, "rms_norm_eps": 1e-5, "hidden_act": "silu",
            "partial_rotary_factor": 1.0, "tie_word_embeddings": False, "attention_bias": False,
            "quantization_config": None, "text_config": None}  # fmt: skip
    path = write_folder(tmp_path) / "config.json"
    draw, told = random.Random(1), list[str]()
    for _ in range(2 * ROUNDS):
        config: dict[str, Any] = {**full, "rope_scaling": dict(rope)}
        for _ in range(draw.choice([1, 2, 3])):
            where = draw.choice([config, config["rope_scaling"]])
            where = where if isinstance(where, dict) else config
            where[draw.choice(sorted(where))] = draw.choice(INTERESTING)
            config.setdefault("rope_scaling", {})
        path.write_text(json.dumps(config))
        survives(tmp_path, told)
    assert len(told) > ROUNDS


def test_pickles(tmp_path: Path) -> None:
    path = write_folder(tmp_path, name="pytorch_model.bin") / "pytorch_model.bin"
    whole = path.read_bytes()
    draw, told = random.Random(2), list[str]()
    for _ in range(ROUNDS):
        path.write_bytes(flip(whole[:3000], draw) + whole[3000:])
        survives(tmp_path, told)
    assert told
