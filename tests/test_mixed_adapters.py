"""Steps whose rows have different adapters: the bits of the model as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane import LLM
from tramontane.adapters.steps import by_adapters
from tramontane.blocks import Linear

from .parity import reference
from .test_adapters import ask, bits, written

NAMES = ("small", "wide", "odd", "some")
RANKS = {"small": 1, "wide": 20, "odd": 3, "some": 16}
HALVES = {"small": torch.float32, "wide": torch.bfloat16, "odd": torch.float16}


def linears(llm: LLM) -> dict[str, tuple[int, ...]]:
    modules = llm.inner.loaded.model.named_modules()
    return {path: tuple(m.weight.shape) for path, m in modules if type(m) is Linear}


def make(folder: Path, name: str, of: dict[str, tuple[int, ...]]) -> Path:
    """some: of half of the matrices only."""
    generator, rank, tensors = torch.Generator().manual_seed(RANKS[name]), RANKS[name], {}
    for index, (path, (rows, columns)) in enumerate(of.items()):
        if name == "some" and index % 2:
            continue
        for part, shape in (("A", (rank, columns)), ("B", (rows, rank))):
            data = torch.randn(shape, generator=generator) / 8
            kind = HALVES.get(name, torch.float32)
            tensors[f"base_model.model.{path}.lora_{part}.weight"] = data.to(kind)
    return written(folder, tensors, r=rank, lora_alpha=rank * (3 if name == "odd" else 2))


@pytest.fixture(
    scope="module",
    params=[
        ("llama", "grouped"),
        ("qwen2", "grouped"),
        ("qwen3", "grouped"),
        ("gemma2", "grouped"),
    ],
    ids=lambda each: each[0],
)
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    folder = tmp_path_factory.mktemp("model")
    name, configuration = request.param
    known = reference.FAMILIES[name].variants
    reference.make(name, configuration if configuration in known else next(iter(known)), folder)
    with LLM(folder, device="cpu", num_ctx=256, kv_tokens=4096, batch_size=48) as opened:
        for each in NAMES:
            at = tmp_path_factory.mktemp(each)
            opened.load_adapter(each, make(at, each, linears(opened)))
        yield opened


ASKED: list[Any] = [None, *NAMES, {"wide": 0.5, "odd": -1.0}, {"small": 0.0}]


def test_the_same_bits_alone_and_in_company(llm: LLM) -> None:
    model, applied = llm.inner.loaded.model, llm.inner.adapters.applied
    assert model.mixes is not None
    assert all(model.mixes(applied(asked)) for asked in ASKED if asked)  # type: ignore[arg-type]
    alone = [bits(ask(llm, one)[0]) for one in ASKED]
    assert alone[0] == alone[-1], "an adapter that counts nothing adds nothing"
    assert len({repr(each) for each in alone}) == len(ASKED) - 1
    together = ask(llm, *ASKED, *reversed(ASKED))
    assert [bits(each) for each in together] == [*alone, *reversed(alone)]


def test_what_the_model_as_it_is_written_answers(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = [bits(ask(llm, one)[0]) for one in ASKED]
    monkeypatch.setattr(llm.inner.engine, "_mixes", None)
    monkeypatch.setattr(llm.inner.loaded.model, "mixes", None)
    written = [bits(ask(llm, one, cache_salt="apart")[0]) for one in ASKED]
    for (tokens, values), (expected, theirs) in zip(recorded, written, strict=True):
        assert tokens == expected
        assert values == pytest.approx(theirs, abs=2e-2)


def test_all_that_can_be_mixed_are_one_part(llm: LLM) -> None:
    from types import SimpleNamespace as Piece

    def of(digest: bytes, media: Any = None) -> Any:
        request = Piece(adapters=digest or None, media=media)
        return Piece(request=request, adapters=digest), 1

    a, b, none, seen = of(b"a"), of(b"b"), of(b""), of(b"a", media=1)
    assert by_adapters([b, none, a, b], lambda applied: True) == [[none, a, b, b]]
    assert by_adapters([b, seen, a], lambda applied: applied == b"b") == [[b], [seen, a]]
    assert by_adapters([b, none, a]) == [[none], [b], [a]]
    assert by_adapters([none, none]) == [[none, none]]
