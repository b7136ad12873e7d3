"""Matrices that go from a file to a backend, and those that cannot."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.block_format import Plain, Raw, Stored
from tramontane.checkpoint import fast_load
from tramontane.checkpoint.build import build
from tramontane.checkpoint.fast_load import Place
from tramontane.checkpoint.fill import fill
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.rules import Deinterleave, Rename, Skip
from tramontane.checkpoint.weight_map import slots
from tramontane.config import read_config
from tramontane.layouts import Dense, Layout
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.system.background import BackgroundResult
from tramontane.testing.random_model import RandomCheckpoint


def plain(raw: Raw, rows: int, columns: int) -> Layout:
    return Dense(torch.from_numpy(raw[0 : len(raw)].copy()).view(torch.float32).view(rows, columns))


def matrix(rows: int, columns: int = 4, first: int = 0) -> Stored:
    numbers = np.arange(first, first + rows * columns, dtype=np.float32)
    return Stored(numbers.view(np.uint8), (rows, columns), Plain(torch.float32), plain)


class Container:
    """Has one matrix, `here`."""

    def stored(self, name: str) -> Stored | None:
        return matrix(6) if name == "here" else None


def taken(place: Place, name: str, *rules: Any) -> Stored | None:
    return place.stored(Container(), name, rules)  # type: ignore[arg-type]


def refuse(matrices: Sequence[Stored]) -> list[Layout | None]:
    return [None for _ in matrices]


def test_what_a_backend_is_given() -> None:
    place = Place(translate=refuse)
    assert taken(place, "here") is not None
    assert taken(place, "here", Rename("*", "*"), Deinterleave("*")) is not None
    assert taken(place, "there") is None
    assert taken(place, "here", Skip("*")) is None, "a rule that may do more than move rows"
    assert taken(Place(), "here") is None, "no backend asks"
    assert taken(Place(translate=refuse, converts=True), "here") is None, "others are wanted"
    assert place.stored(object(), "here", []) is None  # type: ignore[arg-type]


def test_what_a_backend_foresees() -> None:
    place = Place(foresee=lambda model, matrices: None)
    assert taken(place, "here") is not None
    assert not place.reads, "it has asked how they lie, and not to read them"


def test_weights_are_told_before_they_are_read() -> None:
    offer = Registry().get(Architecture, "LlamaForCausalLM")
    told: list[Any] = []

    class Told(RandomCheckpoint):
        def stored(self, name: str) -> Stored | None:
            shape = self.header.tensors[name].shape
            return matrix(*shape) if len(shape) == 2 else None  # type: ignore[misc]

        def read(self, name: str) -> Layout:
            assert told, "a weight was read first"
            return super().read(name)

    values = {**offer.example, "tie_word_embeddings": True}
    config: Any = read_config(load(offer.config), values)
    model = build(offer, config)
    checkpoint = Told(offer, model, values)
    place = Place(foresee=lambda *arguments: told.append(arguments))
    fill(checkpoint, model, config, offer, torch.float32, LoadOptions(), place=place)
    ((given, matrices),) = told
    assert given is model
    packs = {path for path, slot in slots(model).items() if slot.packs}
    assert set(matrices) == packs >= {"lm_head.weight"}, "a tied one is told as well"


def test_what_a_backend_leaves_is_translated() -> None:
    done = Dense(torch.zeros(1))

    def second(matrices: Sequence[Stored]) -> list[Layout | None]:
        return [done if each.shape[0] == 2 else None for each in matrices]

    unread = {"a": matrix(1, first=5), "b": matrix(2), "c": matrix(3)}
    found = {path: (layout, own) for path, layout, own in Place(None, second).translated(unread)}
    assert found["b"] == (done, True)
    assert found["a"][0].decode().tolist() == [[5, 6, 7, 8]]
    assert [own for _, own in found.values()] == [False, True, False]


def test_a_backend_gets_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_load, "AT_ONCE", 100)
    given: list[int] = []

    def note(matrices: Sequence[Stored]) -> list[Layout | None]:
        given.append(len(matrices))
        return [None for _ in matrices]

    sizes = [1, 9, 3, 2, 3, 3]  # rows of 16 bytes
    unread = {str(index): matrix(rows) for index, rows in enumerate(sizes)}
    paths = [path for path, _, _ in Place(None, note).translated(unread)]
    assert paths == list(unread)
    assert given == [2, 3, 1]


def test_rows_that_are_not_read_yet() -> None:
    whole = matrix(6)
    order = torch.tensor([5, 0, 3])
    assert torch.equal(whole.rows(order).decode(), whole.decode()[order])
    assert torch.equal(whole.rows(order).rows(slice(1, 3)).decode(), whole.decode()[[0, 3]])
    assert whole.rows(slice(2, 4)).shape == (2, 4)


def test_beside() -> None:
    gate = threading.Event()
    work = BackgroundResult(lambda: gate.wait(30) and threading.current_thread().name)
    work.started()
    work.started()  # has begun, has not failed
    gate.set()
    assert work.result() != threading.current_thread().name
    assert BackgroundResult(lambda: 7).result() == 7


def test_what_fails_beside_is_told_as_soon_as_it_is_asked() -> None:
    def fail() -> None:
        raise ValueError("no")

    work = BackgroundResult(fail)
    work.started()
    with pytest.raises(ValueError, match="no"):
        work.result()
    with pytest.raises(ValueError, match="no"):
        work.started()
