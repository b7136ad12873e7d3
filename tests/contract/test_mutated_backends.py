"""A backend that runs the reference passes the kit; one that is a little wrong anywhere fails."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from tramontane.plugin import Backend
from tramontane.testing.checks import backends as checks

ACME = """
from dataclasses import replace

import torch
from tramontane import memory, reference
from tramontane.backend import Device
from tramontane.blocks import Attention, Embedding, Linear, StackedLinear
from tramontane.layouts import Dense

LEVELS = 127


def rounded(x):
    scale = x.abs().amax(-1, keepdim=True) / LEVELS
    return (x / scale).round() * scale


def probe():
    sizes = {"memory_total": memory.total(), "memory_free": memory.free()}
    return [Device(name="acme", torch_device="cpu", label="acme", **sizes)]


def prepare(model, device, threads, activations):
    def linear(x, weight):
        x = rounded(x) if activations == "auto" and not isinstance(weight, Dense) else x
        return reference.linear(x, weight)

    for module in model.modules():
        if isinstance(module, Linear):
            module.kernel = linear
        elif isinstance(module, StackedLinear):
            module.kernel = grouped
        elif isinstance(module, Embedding):
            module.kernel = table
        elif isinstance(module, Attention):
            module.kernel = attention
    return {}


def grouped(x, counts, weight):
    return reference.grouped_linear(x, counts, weight)


def table(tokens, weight, dtype):
    return reference.embedding(tokens, weight, dtype)


def attention(q, cache, batch, scale, window, softcap, alibi, sinks=None, chunk=None):
    return reference.attention(q, cache, batch, scale, window, softcap, alibi, sinks, chunk)


def pack(weight, device, threads):
    return weight


def translate(matrices, device, threads):
    return [stored.translated() for stored in matrices]
"""
OFFER = Backend(
    name="acme",
    probe="acme_backend:probe",
    prepare="acme_backend:prepare",
    pack="acme_backend:pack",
    translate="acme_backend:translate",
)
PRODUCT = "return reference.linear(x, weight)"
ATTEND = "return reference.attention(q, cache, batch, scale, window, softcap, alibi, sinks, chunk)"

Check = Callable[..., None]
Write = Callable[[str], Backend]


def product(layout: str, activations: str) -> Check:
    return partial(
        checks.test_each_product_is_the_references, layout=layout, activations=activations
    )


def attends(variant: str, kv_dtype: torch.dtype = torch.float32) -> Check:
    return partial(checks.test_attention_is_the_references, variant=variant, kv_dtype=kv_dtype)


EXPERTS = partial(
    checks.test_each_product_of_experts_is_the_references, layout="affine4", activations="f32"
)
LOGITS = partial(checks.test_logits_are_the_references, layout="affine4", activations="f32")
PACKED = partial(checks.test_packed_weights_give_the_same_logits, layout="affine8")
TABLE = partial(checks.test_rows_of_a_table_are_the_references, layout="affine4")
GOOD: list[Check] = [
    *(product(layout, kind) for layout in ("affine4", "bfloat16") for kind in ("f32", "auto")),
    *(attends(variant, torch.int8)
      for variant in ("plain", "window", "chunk", "alibi", "softcap", "sinks")),
    EXPERTS, LOGITS, PACKED, TABLE,
]  # fmt: skip
WRONG: dict[str, tuple[str, str, Check]] = {
    "products, f32": (PRODUCT, f"{PRODUCT} * 1.01", product("affine4", "f32")),
    "products, auto": (PRODUCT, f"{PRODUCT} * 1.01", product("affine4", "auto")),
    "products of plain weights": (PRODUCT, f"{PRODUCT} * 1.01", product("bfloat16", "f32")),
    "logits": (PRODUCT, f"{PRODUCT} * 1.01", LOGITS),
    "products where rounding is allowed": (
        PRODUCT, f"{PRODUCT} * (1.01 if activations == 'auto' else 1)", product("affine4", "auto")
    ),
    "rounding where none is allowed": ('activations == "auto" and', "", product("affine4", "f32")),
    "rounding to 7 bits": ("LEVELS = 127", "LEVELS = 63", product("affine4", "auto")),
    "experts": (
        "return reference.grouped_linear(x, counts,",
        "return reference.grouped_linear(x, counts.roll(1),", EXPERTS,
    ),
    "rows of a table": (
        "return reference.embedding(tokens,", "return reference.embedding(tokens ^ 1,", TABLE
    ),
    "windows": (ATTEND, ATTEND.replace("window", "None"), attends("window")),
    "windows by one": (ATTEND, ATTEND.replace("window", "window + 1"), attends("window")),
    "chunks": (ATTEND, ATTEND.replace("chunk", "None"), attends("chunk")),
    "chunks by one": (ATTEND, ATTEND.replace("chunk", "chunk and chunk + 1"), attends("chunk")),
    "softcap": (ATTEND, ATTEND.replace("softcap", "None"), attends("softcap")),
    "sinks": (ATTEND, ATTEND.replace("sinks", "None"), attends("sinks")),
    "alibi": (ATTEND, ATTEND.replace("alibi", "None"), attends("alibi")),
    "a cache of codes": (
        ATTEND, ATTEND.replace("(q,", "(q * (1.01 if cache.keys.dtype == torch.int8 else 1),"),
        attends("plain", torch.int8),
    ),
    "packing": ("return weight\n", "return Dense(weight.decode() * 1.01)\n", PACKED),
    "translating": (
        "stored.translated()", "Dense(stored.decode() * 1.01)",
        checks.test_translated_blocks_give_the_same_products,
    ),
    "the order of translated rows": (
        "stored.translated()", "replace(stored, order=None).translated()",
        checks.test_translated_blocks_give_the_same_products,
    ),
    "the step": (
        "    return {}",
        "    step = model.step\n    model.step = lambda *a: step(*a) * 1.01\n    return {}", LOGITS,
    ),
}  # fmt: skip


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """(text of the module) -> an offer of it, which is not installed."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> Backend:
        (tmp_path / "acme_backend.py").write_text(text)
        importlib.invalidate_caches()
        return OFFER

    yield write
    sys.modules.pop("acme_backend", None)


def run(check: Check, offer: Backend, folder: Path) -> None:
    """A check as pytest calls it."""
    wants_folder = check is checks.test_translated_blocks_give_the_same_products
    check(offer, folder) if wants_folder else check(offer)


def test_a_backend_that_is_right_passes(backend: Write, tmp_path: Path) -> None:
    offer = backend(ACME)
    for check in (*GOOD, checks.test_translated_blocks_give_the_same_products):
        run(check, offer, tmp_path)


@pytest.mark.parametrize("mutation", WRONG)
def test_one_that_is_a_little_wrong_fails(backend: Write, mutation: str, tmp_path: Path) -> None:
    before, after, check = WRONG[mutation]
    assert before in ACME
    with pytest.raises(AssertionError, match=r"is allowed|too large or too small"):
        run(check, backend(ACME.replace(before, after)), tmp_path)
