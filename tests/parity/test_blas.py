"""Whole models by a BLAS library's products: equal to transformers, and the same bits under any
load. The library is MKL where its wheel is installed, and else OpenBLAS in its place; that it is
faster is taken for granted, as a clock would choose other kernels on another day."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tramontane_backend_cpu.blas import choose
from tramontane_backend_cpu.blas.library import Library
from tramontane_backend_cpu.blas.order import cuts_of, equal_from
from tramontane_backend_cpu.blas.panels import panels
from tramontane_backend_cpu.blas.table import Choice
from tramontane_backend_cpu.kernels.blas import PANEL, UNIT
from tramontane_backend_mkl import device, products
from tramontane_backend_mkl.find import Found

from . import gguf_file, reference
from .families import FAMILIES
from .forward import logits
from .paths import TOLERANCE, difference, expected, opened
from .test_invariance import scheduled

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
KINDS = ["llama", "qwen3", "gemma2", "mixtral", "bamba"]
"""Dense families, a mixture, a hybrid."""
CASES = [(family, next(iter(FAMILIES[family].variants))) for family in KINDS]


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every matrix by the library, from its smallest batch on; the shapes that were."""
    library = products.opened() or stand_in()
    shapes: list[str] = []

    def always(_: Any, weight: Any, form: str, threads: int, *, prompts: bool) -> Choice:
        rows, columns = weight.shape
        shapes.append(f"{rows} x {columns}")
        if prompts:
            return Choice(UNIT, "")
        cuts = cuts_of(library, columns)
        assert cuts is not None
        sample = panels(torch.randn(min(rows, PANEL + rows % PANEL), columns))
        return Choice(equal_from(library, sample, cuts) if form == "f32" else 0, "", tuple(cuts))

    monkeypatch.setattr(choose, "LEAST", 1)
    monkeypatch.setattr(choose, "chosen", always)
    monkeypatch.setattr(products, "opened", lambda: library)
    monkeypatch.setattr(device, "find", lambda: Found(library.path, library.version))
    return shapes


def stand_in() -> Library:
    import numpy as np

    found = sorted(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"))
    if not found:
        pytest.skip("neither MKL nor numpy's OpenBLAS is here")
    library = Library("mkl", found[0], "", "scipy_", "64_", wide=True)
    library.open().scipy_openblas_set_num_threads64_(1)
    return library


@pytest.mark.parametrize(("family", "variant"), CASES)
@pytest.mark.parametrize("where", ["mkl", "mkl:prompts"])
def test_logits_are_transformers(
    family: str, variant: str, where: str, tmp_path: Path, forced: list[str]
) -> None:
    if where != "mkl" and family != "llama" and not FULL:
        pytest.skip("prompts of other families are for TRAMONTANE_FULL=1")
    theirs = reference.make(family, variant, tmp_path)
    assert difference(expected(theirs), tmp_path, where) < TOLERANCE
    assert forced


@pytest.mark.parametrize(("family", "variant"), CASES)
def test_same_bits_under_any_load(family: str, variant: str, tmp_path: Path) -> None:
    if family in ("qwen3", "gemma2") and not FULL:
        pytest.skip("bits of further dense families are for TRAMONTANE_FULL=1")
    reference.make(family, variant, tmp_path)
    alone = opened(tmp_path, "mkl")
    chance = random.Random(family)
    sequences = [[chance.randrange(3, 90) for _ in range(length)] for length in (1, 7, 33, 60)]
    right = [logits(alone, [sequence], kept=torch.float32)[0] for sequence in sequences]
    assert any("same bits" in name for name in alone.report.kernels.values())
    for threads in (1, 2) if FULL else (2,):
        loaded = opened(tmp_path, "mkl", threads=threads)
        for _ in range(2):
            mixed = scheduled(loaded, sequences, chance, torch.float32)
            for mine, want in zip(mixed, right, strict=True):
                assert torch.equal(mine, want)


@pytest.mark.parametrize("kind", ["F16", "BF16"] if FULL else ["BF16"])
def test_same_bits_of_weights_in_sixteen_bits(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    gguf_file.pair("llama", Type[kind], path, max_position_embeddings=1024)
    loaded = opened(path, "mkl", num_ctx=700)
    assert any("same bits" in name for name in loaded.report.kernels.values())
    chance = random.Random(kind)
    sequences = [[chance.randrange(96) for _ in range(length)] for length in (601, 33, 5)]
    right = [logits(loaded, [sequence], kept=torch.float32)[0] for sequence in sequences]
    for mine, want in zip(scheduled(loaded, sequences, chance, torch.float32), right, strict=True):
        assert torch.equal(mine, want)
