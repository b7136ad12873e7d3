"""The same bits under any load: a token's logits depend on its own sequence alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache
from tramontane.registry import Registry

from . import gguf_file, reference
from .forward import logits

LENGTHS = [1, 7, 33, 90, 601]


@torch.inference_mode()
def scheduled(
    loaded: Loaded, sequences: list[list[int]], chance: random.Random, kept: torch.dtype
) -> list[Tensor]:
    """Logits of every token, the sequences mixed at random, in chunks of random sizes."""
    blocks = [-(-len(sequence) // BLOCK_SIZE) for sequence in sequences]
    cache = KVCache(
        loaded.model, sum(blocks), kept, torch.device("cpu"), state_slots=len(sequences)
    )
    held = [cache.take(count) for count in blocks]
    done = [0] * len(sequences)
    rows: list[list[Tensor]] = [[] for _ in sequences]
    while left := [i for i, sequence in enumerate(sequences) if done[i] < len(sequence)]:
        chosen = chance.sample(left, chance.randint(1, len(left)))
        counts = [
            min(chance.choice([1, 1, 2, 5, 64, 200]), len(sequences[i]) - done[i]) for i in chosen
        ]
        tokens: list[int] = []
        pieces = []
        for i, count in zip(chosen, counts, strict=True):
            tokens += sequences[i][done[i] : done[i] + count]
            pieces.append((done[i], count, len(sequences[i]), held[i], range(count)))
            done[i] += count
        out = loaded.model(torch.tensor(tokens), Batch.of(pieces, cache, chosen)).split(counts)
        for i, part in zip(chosen, out, strict=True):
            rows[i].append(part)
    return [torch.cat(parts) for parts in rows]


def open_threads(path: Path, activations: str) -> dict[int, Loaded]:
    registry = Registry()
    return {
        threads: load_model(
            open_checkpoint(path, registry),
            registry,
            LoadOptions(device="cpu", activations=activations, threads=threads, num_ctx=1024),
        )
        for threads in (1, 2, 3)
    }


def hold_to_it(
    loaded: dict[int, Loaded],
    sequences: list[list[int]],
    chance: random.Random,
    kept: torch.dtype = torch.float32,
) -> None:
    alone = [logits(loaded[2], [sequence], kept=kept)[0] for sequence in sequences]
    for threads in (1, 2, 3, 2):
        mixed = scheduled(loaded[threads], sequences, chance, kept)
        for mine, expected in zip(mixed, alone, strict=True):
            assert torch.equal(mine, expected)


@pytest.mark.parametrize("activations", ["auto", "f32"])
@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_0", "Q4_K", "Q6_K"])
def test_same_bits(kind: str, activations: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    gguf_file.pair("llama", Type[kind], path, max_position_embeddings=1024)
    loaded = open_threads(path, activations)
    assert loaded[1].report.kernels["step"] == "recorded"
    chance = random.Random(kind)
    sequences = [[chance.randrange(96) for _ in range(length)] for length in LENGTHS]
    hold_to_it(loaded, sequences, chance)


DENSE = ["gemma2", "gemma3", "phi2", "gpt2", "falcon", "bloom", "mpt", "starcoder2", "granite"]
SPARSE = ["mixtral", "qwen2-moe", "qwen3-moe", "glm4-moe", "granite-moe"]
RECORDED = [*DENSE, *SPARSE, "deepseek-v2", "deepseek-v3"]
WRITTEN = ["phimoe"]


@pytest.mark.parametrize("kind", ["F32", "Q4_K"])
@pytest.mark.parametrize("family", [*RECORDED, *WRITTEN])
def test_same_bits_of_other_families(family: str, kind: str, tmp_path: Path) -> None:
    """Recorded or as written."""
    path = tmp_path / "model.gguf"
    gguf_file.pair(family, Type[kind], path)
    loaded = open_threads(path, "auto")
    assert (loaded[1].report.kernels["step"] == "recorded") == (family in RECORDED)
    chance = random.Random(family)
    sequences = [[chance.randrange(96) for _ in range(length)] for length in (1, 7, 33, 60)]
    hold_to_it(loaded, sequences, chance)


@pytest.mark.parametrize(
    ("family", "variant"), [("bamba", "biases"), ("minimax", "factors"), ("zamba2", "adapters")]
)
def test_same_bits_of_models_with_states(family: str, variant: str, tmp_path: Path) -> None:
    reference.make(family, variant, tmp_path)
    loaded = open_threads(tmp_path, "f32")
    assert loaded[1].report.kernels["step"] == "recorded"
    chance = random.Random(family)
    sequences = [[chance.randrange(96) for _ in range(length)] for length in (1, 7, 33, 60)]
    hold_to_it(loaded, sequences, chance)


@pytest.mark.parametrize("kind", ["F32", "Q4_K"])
@pytest.mark.parametrize("family", ["llama", "gemma3", "bloom", "phi2", "qwen3-moe", "deepseek-v2"])
def test_same_bits_from_a_cache_of_codes(family: str, kind: str, tmp_path: Path) -> None:
    """A step's own tokens are read as they are kept, as those of the steps before it are."""
    path = tmp_path / "model.gguf"
    longer = {"max_position_embeddings": 1024} if family == "llama" else {}
    gguf_file.pair(family, Type[kind], path, **longer)
    loaded = open_threads(path, "auto")
    chance = random.Random(family)
    lengths = LENGTHS if family == "llama" else (1, 7, 33, 60)
    sequences = [[chance.randrange(96) for _ in range(length)] for length in lengths]
    hold_to_it(loaded, sequences, chance, torch.int8)
    floats = logits(loaded[1], sequences[-1:])[0]
    codes = logits(loaded[1], sequences[-1:], kept=torch.int8)[0]
    assert not torch.equal(floats, codes), "the cache kept floats"
