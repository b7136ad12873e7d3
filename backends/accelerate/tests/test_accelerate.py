"""What is said of Accelerate, and its code with OpenBLAS in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.layouts import Dense
from tramontane_backend_accelerate import device, products
from tramontane_backend_accelerate.explain import reasons
from tramontane_backend_accelerate.find import FRAMEWORK, System, can_run
from tramontane_backend_cpu.blas import choose
from tramontane_backend_cpu.blas.table import Choice
from tramontane_backend_cpu.standing import multiply_native
from tramontane_backend_cpu.step.pool import shared_pool


@pytest.mark.parametrize(
    ("machine", "runs"),
    [
        (System("darwin", "13.3"), True), (System("darwin", "15.1.2"), True),
        (System("darwin", "26.0"), True), (System("darwin", "13.2.1"), False),
        (System("darwin", ""), False), (System("linux", ""), False),
    ],
)  # fmt: skip
def test_which_systems_have_it(
    machine: System, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_run(machine) == runs
    monkeypatch.setattr(device, "here", lambda: machine)
    names = [each.name for each in device.probe()]
    assert names == (["accelerate", "accelerate:prompts"] if runs else [])
    (reason,) = reasons(machine)
    assert bool(reason.remedy) == (machine.system == "darwin" and not runs)


def test_names_and_integers_are_those_of_the_new_interface() -> None:
    library = products.framework(FRAMEWORK, "15.1")
    assert f"{library.prefix}cblas_sgemm{library.suffix}" == "cblas_sgemm$NEWLAPACK$ILP64"
    assert library.wide
    assert library.identity() == "accelerate 15.1"  # there is no file to look at


def test_each_call_has_one_thread() -> None:
    told = []

    class Loaded:
        def BLASSetThreading(self, wanted: int) -> None:
            told.append(wanted)

    products.set_up(Loaded())
    products.set_up(object())  # older than macOS 15
    assert told == [1]


def test_products_with_another_library_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sorted(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"))
    if not found:
        pytest.skip("numpy has no OpenBLAS of its own here")
    library: Any = products.framework(found[0], "15.1", "scipy_", "64_")
    library.open().scipy_openblas_set_num_threads64_(1)
    monkeypatch.setattr(products, "opened", lambda: library)
    monkeypatch.setattr(device, "here", lambda: System("darwin", "15.1"))
    choice = Choice(32, "", (0, 72))
    monkeypatch.setattr(choose, "chosen", lambda *_, **__: choice)
    weight, x = Dense(torch.randn(320, 72)), torch.randn(70, 72)
    for each in device.probe():
        made = products.products(weight, "f32", device=each, threads=1, activations="auto")
        assert made is not None
        assert made.name.startswith("accelerate, 32 rows and more")
        prompts = each.name == "accelerate:prompts"
        assert (made.fewest, made.weight is None) == ((32, True) if prompts else (1, False))
        matrix: Any = weight if prompts else made.weight
        out = multiply_native(made, shared_pool(1))(x, matrix)
        torch.testing.assert_close(out, x @ weight.data.T, rtol=1e-5, atol=1e-4)
