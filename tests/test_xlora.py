"""X-LoRA in the engine: the same bits in any company and any pieces, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tramontane import LLM
from tramontane.adapters.classifier import Classifier
from tramontane.engine.kv_size import Room
from tramontane.errors import AdapterError, NotEnoughMemory, RequestError

from .parity import mixtures, reference
from .parity.mixtures import Reference
from .parity.test_mixtures import linear_layers
from .test_adapters import GREEDY, PROMPT, ask, bits

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
FAMILIES = {"llama": "grouped", "qwen3-next": "experts"}
if FULL:
    FAMILIES["gemma2"] = "grouped"
OPTIONS: dict[str, Any] = {"device": "cpu", "num_ctx": 128, "kv_tokens": 2048}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deep": {"layerwise_scalings": True, "xlora_depth": 3, "top_k_lora": 2,
             "scaling_pass_value": 0.25},
}  # fmt: skip


class Place:
    """A tiny model of a family, its X-LoRAs, and an engine that has them."""

    def __init__(self, family: str, root: Path) -> None:
        variants = reference.FAMILIES[family].variants
        variant = FAMILIES[family] if FAMILIES[family] in variants else next(iter(variants))
        self.theirs = reference.make(family, variant, root / "model")
        self.model = root / "model"
        self.made: dict[str, Reference] = {}
        self.llm = LLM(self.model, **OPTIONS)
        known = linear_layers(self.llm)
        for name, settings in SETTINGS.items():
            self.made[name] = mixtures.make(self.theirs, root / name, known, **settings)
        self.load(self.llm)

    def load(self, llm: LLM) -> None:
        for name, made in self.made.items():
            llm.load_adapter(name, made.folder)
        llm.load_adapter("frozen", self.made["deep"].folder, tgt_non_granular_index=3)
        llm.load_adapter("lora", self.made["plain"].folder / "adapter_1")


ASKED = (None, "plain", "deep", "frozen", "lora")


@pytest.fixture(scope="module", params=[*FAMILIES])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    found = Place(request.param, tmp_path_factory.mktemp("xlora"))
    yield found
    found.llm.close()


def test_the_same_bits_alone_and_in_company(place: Place) -> None:
    llm = place.llm
    alone = [bits(ask(llm, one)[0]) for one in ASKED]
    assert len({repr(each) for each in alone}) == len(ASKED), "each counts"
    for _ in range(2):  # the second time each prompt is known with its own adapter
        together = ask(llm, *ASKED, *reversed(ASKED))
        assert [bits(each) for each in together] == [*alone, *reversed(alone)]
    if not llm.inner.engine.cache.windows:  # what has left a window is not gone on from
        assert all(each.usage.cached_tokens for each in together)


def test_the_same_bits_in_pieces_with_drafts_and_computed_again(place: Place) -> None:
    expected = [bits(ask(place.llm, one, max_tokens=24)[0]) for one in ASKED]
    small = {"batch_size": 7, "kv_tokens": 176, "num_ctx": 96, "prefix_cache": False}
    for more in (small, {"draft": "ngram:n=1:max=4", "batch_size": 33}):
        with LLM(place.model, **{**OPTIONS, **more}) as llm:
            place.load(llm)
            found = ask(llm, *ASKED, *ASKED, max_tokens=24)
            assert [bits(each) for each in found] == expected * 2
            counts = llm.inner.engine.stats()
            if more is small:
                assert counts.preemptions


def test_forks_go_on_from_one_prompt(place: Place) -> None:
    drawn = {"temperature": 1.0, "seed": 3}
    for name in ("plain", "frozen"):
        several = [bits(each) for each in ask(place.llm, name, n=3, **drawn)]
        again = [bits(each) for each in ask(place.llm, name, None, n=3, **drawn)[:3]]
        assert several == again
        assert len({repr(each) for each in several}) > 1


def test_what_was_computed_without_is_not_gone_on_from(place: Place) -> None:
    (first,) = place.llm.inner.requests(
        tuple(PROMPT), GREEDY.model_copy(update={"adapter": "plain"})
    )
    kept = place.llm._results([replace(first, keep=True)])[0].snapshot
    later = (*PROMPT, 4, 5)
    expected = bits(ask(place.llm, "plain", prompt=later)[0])
    (one,) = place.llm.inner.requests(later, GREEDY.model_copy(update={"adapter": "plain"}))
    assert bits(place.llm._results([replace(one, resume=kept)])[0]) == expected


@pytest.mark.parametrize("place", ["llama"], indirect=True)
@pytest.mark.parametrize("after", [None, 1, 3, 500] if FULL else [None, 3])
def test_scalings_stay_as_they_are_after_some_tokens(place: Place, after: int | None) -> None:
    made, options = place.made["deep"], {"dtype": "f32", "activations": "f32", "kv_type": "f32"}
    with LLM(place.model, **OPTIONS, **options) as llm:
        llm.load_adapter("x", made.folder, tgt_non_granular_index=after)
        steps = llm.inner.engine.forward.scaling
        passed: list[int] = []
        shares = steps.shares

        def counted(work: Any, put: Any) -> Any:
            passed.append(sum(count for _, count in work))
            return shares(work, put)

        steps.shares = counted  # type: ignore[method-assign]
        (found,) = ask(llm, "x", max_tokens=12)
    tokens = [*PROMPT, *found.token_ids]
    frozen = None if after is None else len(PROMPT) + after - 1
    if frozen is not None and frozen >= len(tokens):
        frozen = None
    logits = made.logits(place.theirs, tokens, frozen)[len(PROMPT) - 1 : -1]
    expected = logits.log_softmax(-1)[range(12), list(found.token_ids)]
    assert found.logprobs is not None
    assert [one.logprob for one in found.logprobs] == pytest.approx(expected.tolist(), abs=1e-4)
    assert found.token_ids == tuple(logits.argmax(-1).tolist())


@pytest.mark.parametrize("place", ["llama"], indirect=True)
def test_it_is_asked_for_alone(place: Place) -> None:
    for asked in ({"plain": 1, "lora": 1}, {"plain": 0.5}, "plain,deep"):
        with pytest.raises(RequestError, match="decided by each token: it is asked for alone, and"):
            ask(place.llm, asked)
    with pytest.raises(RequestError, match="is a mixture, which is loaded with the weight 1, not"):
        place.llm.load_adapter("half", place.made["plain"].folder, 0.5)
    with pytest.raises(AdapterError, match="a mixture of adapters, whose shares each token"):
        LLM(place.model, adapters={"x": place.made["plain"].folder}, merge_adapters=True)
    with pytest.raises(RequestError, match="xlora_order is for an X-LoRA, and none of the ad"):
        LLM(place.model, xlora_order="order.json", adapters={
            "lora": place.made["plain"].folder / "adapter_1"})  # fmt: skip


@pytest.mark.parametrize("place", ["llama"], indirect=True)
def test_memory_for_the_first_pass(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with LLM(place.model, **OPTIONS) as llm:
        rooms = [Room("memory", free=1000, per_token=100, per_sequence=0)]
        monkeypatch.setattr("tramontane.engine.scaling_pass.rooms", lambda loaded: rooms)
        with pytest.raises(NotEnoughMemory, match=r"second KV cache as large as the first, .* and"):
            llm.load_adapter("x", place.made["plain"].folder)
        assert llm.adapters == []


@pytest.mark.parametrize("place", ["llama"], indirect=True)
def test_rows_that_are_no_tokens(place: Place) -> None:
    mixture, model = place.llm.inner.adapters.applied("plain"), place.llm.inner.loaded.model
    batch: Any = SimpleNamespace(
        shares=((0, torch.ones(4, 1, 3)),), numbers=SimpleNamespace(wanted=[1, 3])
    )
    path = "model.layers.0.self_attn.q_proj"
    module: Any = model.get_submodule(path)
    with mixture.on(batch):  # type: ignore[union-attr,arg-type]
        for rows in (4, 2):
            assert module(torch.ones(rows, module.weight.shape[1])).shape[0] == rows
        with pytest.raises(RequestError, match=f"{path} is computed for other rows than a text's"):
            module(torch.ones(3, module.weight.shape[1]))


def order(folder: Path, **change: Any) -> Path:
    """An ordering file of a model's first two layers' query matrices."""
    layers = {f"model.layers.{at}.self_attn.q_proj": at for at in range(2)}
    told = {"order": ["b", "a"], "layers": layers, "base_model_id": "org/name", **change}
    path = folder / "order.json"
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def small(place: Place, tmp_path: Path) -> Path:
    """An X-LoRA in the files of mistral.rs: two adapters of two matrices, whose shares the
    classifier knows by layers."""
    model = place.theirs
    generator = torch.Generator().manual_seed(1)
    for name in ("a", "b"):
        pairs = {}
        for at in range(2):
            rows, columns = model.get_submodule(f"model.layers.{at}.self_attn.q_proj").weight.shape
            pairs[f"model.layers.{at}.self_attn.q_proj"] = (
                torch.randn(3, columns, generator=generator) / 4,
                torch.randn(rows, 3, generator=generator) / 4,
            )
        mixtures.write_adapter(tmp_path / "adapters" / name, pairs)
    hidden = model.config.hidden_size
    save_file(
        {"inner.0.weight": torch.randn(5, hidden, generator=generator),
         "inner.0.bias": torch.randn(5, generator=generator),
         "last.weight": torch.randn(4, 5, generator=generator),
         "last.bias": torch.randn(4, generator=generator)},
        tmp_path / "xlora_classifier.safetensors",
    )  # fmt: skip
    settings = {
        "hidden_size": hidden, "xlora_depth": 2, "layerwise_scalings": True,
        "enable_relu_and_dropout": False, "adapters": {"a": None, "b": None},
    }  # fmt: skip
    (tmp_path / "xlora_config.json").write_text(json.dumps(settings))
    return tmp_path


def settings(**change: Any) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / "xlora_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return do


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / "xlora_classifier.safetensors"
        found = load_file(path)
        change(found)
        save_file({name: each.contiguous() for name, each in found.items()}, path)

    return do


def _narrow(found: dict[str, torch.Tensor]) -> None:
    found["inner.0.weight"] = found["inner.0.weight"][:, 1:]


def _poison(found: dict[str, torch.Tensor]) -> None:
    found["last.weight"][0, 0] = torch.nan


def _without(folder: Path) -> None:
    (folder / "xlora_classifier.safetensors").unlink()


def _moved(folder: Path) -> None:
    (folder / "adapters/a").rename(folder / "adapters/elsewhere")


def _with_dora(folder: Path) -> None:
    path = folder / "adapters/a/adapter_model.safetensors"
    found = load_file(path)
    name = next(name for name in found if "lora_B" in name)
    found[name.replace("lora_B.weight", "lora_magnitude_vector")] = torch.ones(len(found[name]))
    save_file(found, path)


def _mixed_up(folder: Path) -> None:
    path = folder / "adapters/a/adapter_model.safetensors"
    found = load_file(path)
    renamed = {name.replace("base_model.", "base_model.lora_model."): found[name] for name in found}
    save_file(renamed, path)


def _embedding(folder: Path) -> None:
    path = folder / "adapters/a/adapter_model.safetensors"
    found, name = load_file(path), "base_model.model.model.embed_tokens.lora_embedding_"
    columns = len(found["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"][0])
    found |= {f"{name}A": torch.ones(3, 99), f"{name}B": torch.ones(columns, 3)}
    save_file(found, path)


@pytest.mark.parametrize("place", ["llama"], indirect=True)
@pytest.mark.parametrize(
    ("change", "ordering", "said"),
    [
        (_without, {}, "has no classifier: neither xlora_classifier.safetensors nor"),
        (tensors(_narrow), {}, "reads \\d+ numbers, and hidden_size of xlora_config.json is"),
        (tensors(_poison), {}, "last.weight has numbers that are not finite"),
        (tensors(lambda found: found.pop("last.bias")), {}, "layer 1 .* has no bias; use_bias"),
        (tensors(lambda found: found.pop("inner.0.weight")), {}, "layer 0 .* has no weight"),
        (settings(use_bias=False), {}, "has a bias; use_bias of xlora_config.json is false"),
        (settings(hidden_size=8), {}, "reads \\d+ numbers, and hidden_size .* is 8"),
        (settings(xlora_depth=3), {}, "has 2 layers, and xlora_depth of .* is 3"),
        (settings(xlora_depth=0), {}, "xlora_depth should be a whole number from 1 on, not 0"),
        (settings(layerwise_scalings=False), {}, "gives 4 numbers for 2 adapters, and layerwise"),
        (settings(layerwise_scalings="x"), {}, "should be true or false, not 'x'"),
        (settings(top_k_lora=3), {}, "top_k_lora 3 is more than the 2 adapters"),
        (settings(softmax_temperature=0), {}, "softmax_temperature should be a number above 0"),
        (settings(global_scaling_weight=1e9), {}, "should be a number within 1e\\+06, not 10000"),
        (settings(scaling_pass_value=float("nan")), {}, "xlora_config.json"),
        (settings(adapters={}), None, "does not say which adapters there are, .*--xlora-order"),
        (settings(adapters=["a"]), {}, "adapters should be folders by their adapters' names"),
        (settings(adapters={"a": None}), {"order": ["a"], "layers": None}, "for 4 layers"),
        (_moved, {}, "has no folder of the adapter 'a': copy it to"),
        (_with_dora, {}, "adapter a does more to model.layers.*than to add a pair"),
        (_mixed_up, {}, "peft has saved parts of several adapters as the adapter 'a'"),
        (_embedding, {}, "which is no linear layer of its own: mixtures of adapters change"),
        (lambda folder: None, {"order": ["a", "c"]}, "names 'c'; the adapters of .* are a, b"),
        (lambda folder: None, {"order": ["a"]}, "does not name 'b'"),
        (lambda folder: None, {"order": ["a", "a"]}, "order names 'a' twice"),
        (lambda folder: None, {"order": "a"}, "order should be names of adapters, not 'a'"),
        (lambda folder: None, {"layers": {"model.layers.0.self_attn.q_proj": 0}}, "not name .*1.s"),
        (lambda folder: None, {"layers": {"model.layers.70.self_attn.q_proj": 0}}, "the model has "
         "no model.layers.70"),
        (lambda folder: None, {"layers": {
            "model.layers.0.self_attn.q_proj": 0, "model.layers.1.self_attn.q_proj": 2}},
         "gives .*layers.1.* the layer 2, and the classifier has 2"),
        (lambda folder: None, {"layers": {"model.layers.0.self_attn.q_proj": -1}}, "a number from"),
    ],
)  # fmt: skip
def test_what_is_no_xlora_of_the_model(
    place: Place, small: Path, change: Any, ordering: dict[str, Any] | None, said: str
) -> None:
    change(small)
    path = None if ordering is None else order(small, **ordering)
    with pytest.raises(Exception, match=said) as caught:
        place.llm.load_adapter("bad", small, xlora_order=path)
    assert type(caught.value).__module__.startswith("tramontane"), caught.value
    assert "bad" not in place.llm.adapters


@pytest.mark.parametrize("place", ["llama"], indirect=True)
def test_other_values_that_cannot_be(place: Place, small: Path) -> None:
    llm = place.llm
    with pytest.raises(AdapterError, match=r"no ordering file at .*nowhere\.json"):
        llm.load_adapter("bad", small, xlora_order=small / "nowhere.json")
    for index in (0, -1, 1_000_001, "3", True):
        with pytest.raises(RequestError, match="tgt_non_granular_index should be a whole number"):
            llm.load_adapter("bad", small, tgt_non_granular_index=index)  # type: ignore[arg-type]
    wide = {"inner.0.weight": torch.ones(5, 7), "inner.0.bias": torch.ones(5)}
    tensors(lambda found: found.update(wide))(small)
    settings(hidden_size=7)(small)
    with pytest.raises(AdapterError, match="hidden states of 7 numbers, and the model's have"):
        llm.load_adapter("bad", small)


@pytest.mark.parametrize("place", ["llama"], indirect=True)
def test_an_ordering_file_says_what_the_classifier_means(place: Place, small: Path) -> None:
    llm = place.llm
    ordered = order(small)
    llm.load_adapter("one", small)
    llm.load_adapter("two", small, xlora_order=ordered)
    other = {"model.layers.0.self_attn.q_proj": 1, "model.layers.1.self_attn.q_proj": 0}
    llm.load_adapter("three", small, xlora_order=order(small, order=["a", "b"], layers=other))
    found = [bits(ask(llm, name)[0]) for name in ("one", "two", "three")]
    assert len({repr(each) for each in found}) == 3
    path = small / "xlora_classifier.safetensors"
    turned = load_file(path)
    for part in ("weight", "bias"):  # (layers, adapters)
        turned[f"last.{part}"] = turned[f"last.{part}"].unflatten(0, (2, 2)).flip(1).flatten(0, 1)
    save_file({name: each.contiguous() for name, each in turned.items()}, path)
    llm.load_adapter("four", small)
    assert bits(ask(llm, "four")[0])[0] == found[1][0]
    assert bits(ask(llm, "four")[0])[1] == pytest.approx(found[1][1], abs=1e-3)
    for name in ("one", "two", "three", "four"):
        llm.unload_adapter(name)


def test_rows_of_a_classifier_do_not_depend_on_others() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(35, 24, generator=generator)
    made = Classifier((weight,), (None,), 5, top_k=3, softmax_kept=True)

    def multiply(x: torch.Tensor, layout: Any) -> torch.Tensor:
        return torch.stack([layout.data @ row for row in x])

    x = torch.randn(37, 24, generator=generator)
    together = made.shares(x, multiply)
    assert together.shape == (37, 7, 5)
    assert (together != 0).sum(-1).eq(3).all()
    for start, end in ((0, 1), (3, 20), (20, 37)):
        assert torch.equal(made.shares(x[start:end], multiply), together[start:end])
    ties = made.kept(torch.tensor([0.5, 0.5, 0.5, 0.5, 0.5]))
    assert ties.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0])
    assert made.kept(torch.zeros(5)).tolist() == [0] * 5
