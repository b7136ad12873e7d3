"""Products by BLAS libraries: against the reference, and the same bits for one vector and many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from tramontane import reference
from tramontane.layouts import Dense
from tramontane.system import paths
from tramontane_backend_cpu.blas import choose, measure
from tramontane_backend_cpu.blas.choose import product
from tramontane_backend_cpu.blas.library import Library
from tramontane_backend_cpu.blas.measure import NEVER, measured
from tramontane_backend_cpu.blas.order import cuts_of, equal_from
from tramontane_backend_cpu.blas.panels import panels
from tramontane_backend_cpu.blas.products import direct_product, followed_product
from tramontane_backend_cpu.blas.table import Choice, Table
from tramontane_backend_cpu.kernels.blas import UNIT
from tramontane_backend_cpu.standing import multiply_native
from tramontane_backend_cpu.step.pool import shared_pool

from .blas_libraries import LIBRARIES, openblas, torchs_mkl

SHAPES = [(64, 64), (300, 72), (257, 513), (31, 1100)]
FOLLOWED = [(64, 64), (320, 72), (320, 512), (64, 1120)]
"""For a single row, say, or for odd columns, libraries have other orders of sums."""
COUNTS = (1, 2, 7, 31, 32, 33, 100, 545)


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Library:
    return LIBRARIES[request.param]()


def check(out: Tensor, x: Tensor, weight: Dense) -> None:
    """Within what float32 may do to a sum of products."""
    bound = (x.shape[1] + 4) * torch.finfo(torch.float32).eps
    sizes = x.double().abs() @ weight.data.double().abs().T + 1e-6
    expected = reference.linear(x.double(), Dense(weight.data.double()))
    assert bool(((out.double() - expected).abs() <= 8 * bound * sizes).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_one_vector_has_the_bits_that_it_has_among_many(
    library: Library, dtype: torch.dtype
) -> None:
    for rows, columns in FOLLOWED:
        weight = Dense(torch.randn(rows, columns).to(dtype))
        layout = panels(weight.data)
        cuts = cuts_of(library, columns)
        assert cuts is not None
        least = equal_from(library, layout, cuts)
        assert least, f"{library.name} adds {columns} columns in an order that depends on the rows"
        x = torch.randn(545, columns)
        for threads in (1, 2):
            made = followed_product(library, layout, cuts, least, threads)
            multiply = multiply_native(made.native, shared_pool(threads))
            whole = multiply(x, layout)
            check(whole, x, weight)
            for count in COUNTS:
                for start in (0, 545 - count):
                    part = multiply(x[start : start + count], layout)
                    assert torch.equal(part, whole[start : start + count]), (rows, columns, count)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_prompts_by_the_library_alone(library: Library, dtype: torch.dtype) -> None:
    for rows, columns in SHAPES:
        weight = Dense(torch.randn(rows, columns).to(dtype))
        made = direct_product(library, weight, "f32", fewest=5, threads=2)
        multiply = multiply_native(made.native, shared_pool(2))
        for count in COUNTS:
            x = torch.randn(count, columns)
            check(multiply(x, weight), x, weight)


def test_prompts_in_bfloat16() -> None:
    weight = Dense(torch.randn(300, 72).bfloat16())
    made = direct_product(torchs_mkl(), weight, "bf16", fewest=5)
    multiply = multiply_native(made.native, shared_pool(1))
    for count in (1, 5, 40):
        x = torch.randn(count, 72).bfloat16().float()
        check(multiply(x, weight), x, weight)


def test_a_nan_stays_in_its_row() -> None:
    library, layout = openblas(), panels(torch.randn(300, 72))
    cuts = cuts_of(library, 72)
    assert cuts is not None
    made = followed_product(library, layout, cuts, UNIT)
    multiply = multiply_native(made.native, shared_pool(1))
    x = torch.randn(40, 72)
    expected = multiply(x, layout)
    x[3, 50] = torch.nan
    out = multiply(x, layout)
    assert out[3].isnan().all()
    kept = [row for row in range(40) if row != 3]
    assert torch.equal(out[kept], expected[kept])


def test_panels_hold_the_matrix() -> None:
    for rows, columns in SHAPES:
        matrix = torch.randn(rows, columns).half()
        layout = panels(matrix)
        assert layout.shape == (rows, columns)
        assert torch.equal(layout.decode(torch.float16), matrix)
        assert torch.equal(layout.rows(slice(3, 20)).decode(torch.float16), matrix[3:20])


def test_an_order_that_changes_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were sums to begin elsewhere, the library's bits would be others, and it is seen."""
    library, layout = openblas(), panels(torch.randn(300, 600))
    cuts = cuts_of(library, 600)
    assert cuts is not None
    assert equal_from(library, layout, cuts)
    assert not equal_from(library, layout, [0, 96, 600])
    monkeypatch.setattr(measure, "cuts_of", lambda *_: [0, 96, 600])
    choice = measured(library, Dense(torch.randn(300, 600)), "f32", shared_pool(1), prompts=False)
    assert choice.library_from == 0
    assert "depend on the number" in choice.why


@pytest.mark.parametrize("slow", ["library", "few", "nothing"])
def test_the_clock_decides(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a product that is slower for any number of vectors than the CPU backend's."""
    factor = {"cpu": 1.0, "few": 1.0, "library": 0.5, slow: 1.1}
    monkeypatch.setattr(measure, "_best", lambda acts: {name: factor[name] for name in acts})
    choice = measured(openblas(), Dense(torch.randn(300, 72)), "f32", shared_pool(1), prompts=False)
    assert choice.library_from == {"library": 0, "few": 0, "nothing": 64}[slow], choice
    assert choice.why == {"library": "the library is not faster", "few": "slower for 1 vectors",
                          "nothing": ""}[slow]  # fmt: skip


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)
    return Table(openblas(), 1)


def test_choices_are_kept(table: Table) -> None:
    choice = Choice(64, "", (0, 72), "cpu 1: 1.000 ms")
    assert table.get("a shape") is None
    table.put("a shape", choice)
    assert Table(openblas(), 1).get("a shape") == choice
    assert Table(openblas(), 2).get("a shape") is None
    assert Table(replace(openblas(), version="later"), 1).get("a shape") is None


GOOD = {"library_from": 64, "why": "", "cuts": [0, 72], "seconds": ""}


@pytest.mark.parametrize(
    "told",
    ["{", "[]", '{"a shape": 3}', '{"a shape": {"library_from": 1}}']
    + [json.dumps({"a shape": GOOD | wrong}) for wrong in (
        {"library_from": -1}, {"library_from": "64"}, {"library_from": 5}, {"cuts": [0, 0]},
        {"cuts": [4, 72]}, {"cuts": ["0", 72]}, {"more": 1},
    )],
)  # fmt: skip
def test_a_damaged_table_is_measured_again(told: str, table: Table) -> None:
    table.path.parent.mkdir(parents=True)
    table.path.write_text(told)
    assert Table(openblas(), 1).get("a shape") is None


def test_a_matrix_is_measured_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def once(*told: object, prompts: bool) -> Choice:
        asked.append(prompts)
        return Choice(32, "", () if prompts else (0, 72))

    monkeypatch.setattr(choose, "measured", once)
    weight = Dense(torch.randn(300, 72))
    for prompts in (False, True):
        for _ in range(2):
            made = product(openblas(), weight, "f32", 1, prompts=prompts)
            assert made is not None
            assert (made.fewest, made.weight is None) == ((32, True) if prompts else (1, False))
    assert asked == [False, True]
    assert product(openblas(), Dense(torch.randn(8, 72)), "f32", 1, prompts=False) is None


def test_cuts_for_another_number_of_columns_are_measured_again(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = Dense(torch.randn(300, 72))
    monkeypatch.setattr(choose, "measured", lambda *_, **__: Choice(32, "", (0, 64)))
    product(openblas(), weight, "f32", 1, prompts=False)
    monkeypatch.setattr(choose, "measured", lambda *_, **__: Choice(0, "again"))
    assert product(openblas(), weight, "f32", 1, prompts=False) is None


def test_few_vectors_are_summed_as_is_said() -> None:
    """One after the other, each product added with one rounding, from each cut on anew."""
    weight, x = torch.randn(20, 100), torch.randn(3, 100)
    layout = panels(weight)
    made = followed_product(openblas(), layout, [0, 40, 100], NEVER)
    out = multiply_native(made.native, shared_pool(1))(x, layout)
    w, v = weight.double().numpy(), x.double().numpy()
    total = np.zeros((3, 20), np.float32)
    for left, right in ((0, 40), (40, 100)):
        part = np.zeros((3, 20), np.float32)
        for k in range(left, right):  # products of float32 are exact in float64
            part = (v[:, k, None] * w[None, :, k] + part).astype(np.float32)
        total = part if left == 0 else total + part
    assert np.array_equal(out.numpy(), total)
