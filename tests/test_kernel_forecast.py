"""What is compiled ahead for a model is what its step is bound to, for every architecture."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.block_format import Plain, Recipe, Stored
from tramontane.blocks import StackedLinear
from tramontane.checkpoint.build import build
from tramontane.checkpoint.fill import TIES
from tramontane.checkpoint.weight_map import slots
from tramontane.config import read_config
from tramontane.engine.kv_cache import KVCache
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.tasks.task import in_engine
from tramontane.testing.random_model import random_model
from tramontane_backend_cpu.kernel_forecast import foresee, missing_kernels
from tramontane_backend_cpu.numba_setup import Kernel
from tramontane_backend_cpu.step.forward import Forward
from tramontane_backend_cpu.step.pool import shared_pool
from tramontane_backend_cpu.translation import foreseen
from tramontane_quant_gguf.formats.recipes import RECIPES

OFFERS = {offer.name: offer for offer in filter(in_engine, Registry().all(Architecture))}
CPU = torch.device("cpu")
RAW = np.zeros(0, np.uint8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """Every kernel whose address was asked for; none is compiled."""
    shared_pool(2)  # its threads have kernels of their own
    found: list[Kernel] = []
    monkeypatch.setattr(Kernel, "is_ready", lambda kernel: False)
    monkeypatch.setattr(Kernel, "address", property(lambda kernel: found.append(kernel) or 0))
    return found


def matrix(shape: tuple[int, int], recipe: Recipe | Plain) -> Stored:
    whole = shape[1] % recipe.count == 0
    return Stored(RAW, shape, recipe if whole else Plain(torch.float32), _unread)


def _unread(*arguments: object) -> Any:
    raise AssertionError("a weight was read")


def matrices(model: Any, recipe: Recipe | Plain, *, tied: bool) -> dict[str, Stored]:
    """A file's, of which none is more than one."""
    found = {
        path: matrix(slot.shape, recipe)  # type: ignore[arg-type]
        for path, slot in slots(model).items()
        if slot.packs and not slot.stacked
    }
    return found | {one: found[other] for one, other in TIES.items() if tied and other in found}


@pytest.mark.parametrize("kv_dtype", [torch.float16, torch.int8])
@pytest.mark.parametrize("kind", ["F32", "Q4_0", "Q6_K"])
@pytest.mark.parametrize("name", OFFERS)
def test_what_is_foreseen_is_bound(
    name: str, kind: str, kv_dtype: torch.dtype, asked: list[Kernel]
) -> None:
    offer, recipe = OFFERS[name], Plain(torch.float32) if kind == "F32" else RECIPES[kind]
    config: Any = read_config(load(offer.config), offer.example)
    empty = build(offer, config)
    ahead = matrices(empty, recipe, tied=config.tie_word_embeddings)
    missing_kernels(empty, ahead, 2, False, kv_dtype)
    wished = set(asked)
    assert all(p.is_meta for p in empty.parameters()), "the model itself was changed"
    for kernel in wished:
        assert pickle.loads(pickle.dumps(kernel.origin)).kernel() is kernel, "others find it"
    asked.clear()

    model = random_model(offer)
    for module_path, module in model.named_modules():
        stored = ahead.get(f"{module_path}.weight")
        if stored is not None:
            module.weight = foreseen(stored)  # type: ignore[assignment]
    program = Forward(model, shared_pool(2), exact=False).program
    if program is None:
        assert wished == set()
        return
    program._bind(1, 1, 1, KVCache(model, 4, kv_dtype, CPU))
    if any(isinstance(module, StackedLinear) for module in model.modules()):
        assert wished, "what stacks lie in was not told"
    else:
        assert wished == set(asked)


def test_whatever_goes_wrong_is_left_to_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("tramontane_backend_cpu.kernel_forecast.missing_kernels", fail)
    monkeypatch.setattr(Kernel, "is_ready", lambda kernel: False)
    monkeypatch.setattr("tramontane_backend_cpu.precompile.OtherProcess.possible", lambda: False)
    device: Any = None
    foresee(torch.nn.Linear(1, 1), {}, device, 2, "auto", torch.float16)  # type: ignore[arg-type]
