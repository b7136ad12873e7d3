"""Adapters: what they change and for whom, the same bits in any company, and what is refused."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tramontane import LLM, SamplingParams
from tramontane.adapters.adapter_set import parsed
from tramontane.blocks import Linear
from tramontane.cli.adapter_options import add_adapters, chosen_adapters, named, weighed
from tramontane.engine.request import RequestResult
from tramontane.errors import AdapterError, RequestError, UsageError
from tramontane.layouts.low_rank import LowRank

from .parity import reference

NAMES = tuple("abcdefg")
PROMPT = [(7 * i + 3) % 90 for i in range(70)]
GREEDY = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, logprobs=True)
CHANGED = ("o_proj", "out_proj", "down_proj")


def shapes(llm: LLM) -> dict[str, tuple[int, ...]]:
    """Of the linear layers that the adapters change."""
    modules = llm.inner.loaded.model.named_modules()
    return {
        path: tuple(module.weight.shape)
        for path, module in modules
        if type(module) is Linear and path.endswith(CHANGED)
    }


def written(folder: Path, tensors: Mapping[str, torch.Tensor], **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def adapter(folder: Path, seed: int, of: Mapping[str, tuple[int, ...]], **config: Any) -> Path:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for path, (rows, columns) in of.items():
        name = f"base_model.model.{path}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(4, columns, generator=generator) / 8
        tensors[f"{name}.lora_B.weight"] = torch.randn(rows, 4, generator=generator) / 8
    return written(folder, tensors, **config)


@pytest.fixture(scope="module", params=["llama", "qwen3-moe", "qwen3-next"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLM]:
    """With seven adapters: dense, experts, and states beside keys and values."""
    folder = tmp_path_factory.mktemp("model")
    configurations = {"llama": "grouped", "qwen3-moe": "some-dense", "qwen3-next": "experts"}
    name = request.param
    reference.make(name, configurations[name], folder)
    with LLM(folder, device="cpu", num_ctx=256, kv_tokens=4096) as opened:
        for seed, each in enumerate(NAMES):
            at = tmp_path_factory.mktemp(each)
            opened.load_adapter(each, adapter(at, seed, shapes(opened)))
        yield opened


def ask(llm: LLM, *asked: Any, prompt: Any = PROMPT, **more: Any) -> list[RequestResult]:
    params = [GREEDY.model_copy(update={"adapter": one, **more}) for one in asked]
    requests = [request for one in params for request in llm.inner.requests(tuple(prompt), one)]
    return llm._results(requests)


def bits(result: RequestResult) -> Any:
    assert result.error is None
    assert result.logprobs is not None
    return result.token_ids, [one.logprob for one in result.logprobs]


def test_the_same_bits_alone_and_with_seven_others(llm: LLM) -> None:
    asked = [None, *NAMES]
    alone = [bits(ask(llm, one)[0]) for one in asked]
    assert len({repr(each) for each in alone}) == len(asked), "each adapter counts"
    for _ in range(2):  # the second time each prompt is known with its own adapter
        together = ask(llm, *asked, *reversed(asked))
        assert [bits(each) for each in together] == [*alone, *reversed(alone)]
    assert all(each.usage.cached_tokens for each in together)


def test_weights_and_several_at_once(llm: LLM) -> None:
    plain, nothing, first = (bits(ask(llm, one)[0]) for one in (None, {"a": 0.0}, "a"))
    assert nothing[0] == plain[0]
    assert bits(ask(llm, "a:1")[0]) == bits(ask(llm, {"a": 1})[0]) == first
    both = bits(ask(llm, {"a": 1, "b": 0.5})[0])
    assert both == bits(ask(llm, "a,b:0.5")[0])
    assert both not in (first, bits(ask(llm, {"a": 1, "b": 1})[0]))


def test_forks_and_small_steps(llm: LLM) -> None:
    drawn = {"temperature": 1.0, "seed": 3}
    several = [bits(each) for each in ask(llm, "a", n=3, **drawn)]
    again = [bits(each) for each in ask(llm, "a", None, n=3, **drawn)[:3]]
    assert several == again
    assert len({repr(each) for each in several}) > 1


def test_an_adapter_is_replaced_and_dropped_while_it_answers(llm: LLM, tmp_path: Path) -> None:
    before, other = bits(ask(llm, "a")[0]), bits(ask(llm, "b")[0])
    llm.load_adapter("x", adapter(tmp_path / "x", 0, shapes(llm)))
    assert bits(ask(llm, "x")[0]) == before, "equal numbers are the same, whatever the name"
    (running,) = llm.inner.requests(tuple(PROMPT), GREEDY.model_copy(update={"adapter": "x"}))
    with pytest.raises(RequestError, match="there is an adapter 'x' already"):
        llm.load_adapter("x", tmp_path / "x")
    llm.load_adapter("x", adapter(tmp_path / "y", 1, shapes(llm)), replace=True)
    assert bits(ask(llm, "x")[0]) == other
    llm.unload_adapter("x")
    assert bits(llm._results([running])[0]) == before, "it was asked for with the first"
    with pytest.raises(RequestError, match="there is no adapter 'x': there are a, b, c"):
        ask(llm, "x")
    with pytest.raises(RequestError, match="no adapter 'x'"):
        llm.unload_adapter("x")


def test_what_was_computed_with_one_is_not_gone_on_from_without(llm: LLM) -> None:
    (first,) = llm.inner.requests(tuple(PROMPT), GREEDY.model_copy(update={"adapter": "a"}))
    kept = llm._results([type(first)(**{**vars(first), "keep": True})])[0].snapshot
    assert kept is not None
    later = (*PROMPT, 4, 5)
    for asked in (None, "a"):
        expected = bits(ask(llm, asked, prompt=later)[0])
        (one,) = llm.inner.requests(later, GREEDY.model_copy(update={"adapter": asked}))
        found = llm._results([type(one)(**{**vars(one), "resume": kept})])[0]
        assert bits(found) == expected
        assert bool(found.usage.cached_tokens) == (asked == "a")


def damaged(change: Callable[[dict[str, torch.Tensor]], None], **config: Any) -> Any:
    def make(folder: Path, of: Mapping[str, tuple[int, ...]]) -> Path:
        path = adapter(folder, 0, of)
        from safetensors.torch import load_file

        tensors = load_file(path / "adapter_model.safetensors")
        change(tensors)
        return written(folder, tensors, **config)

    return make


def _poison(tensors: dict[str, torch.Tensor]) -> None:
    next(iter(tensors.values()))[0, 0] = torch.nan


def _narrow(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if "lora_A" in name]:
        tensors[name] = tensors[name][:, 1:]


def _half(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(name for name in tensors if "lora_B" in name)]


def _with_magnitude(size: int) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "lora_A" in name]:
            tensors[name.replace("lora_A.weight", "lora_magnitude_vector")] = torch.ones(size)

    return change


def _huge(tensors: dict[str, torch.Tensor]) -> None:
    next(iter(tensors.values()))[0, 0] = 1e30


def _rows(count: int) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.clear()
        name = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
        tensors[name] = torch.ones(count, 3)

    return change


def _embedding_with_dora(tensors: dict[str, torch.Tensor]) -> None:
    table = "base_model.model.model.embed_tokens"
    tensors[f"{table}.lora_embedding_A"] = torch.ones(4, 7)
    tensors[f"{table}.lora_embedding_B"] = torch.ones(7, 4)
    tensors[f"{table}.lora_magnitude_vector"] = torch.ones(7)


def _foreign(tensors: dict[str, torch.Tensor]) -> None:
    for name in list(tensors):
        tensors[name.replace("layers.", "layers.7")] = tensors.pop(name)


@pytest.mark.parametrize("llm", ["llama"], indirect=True)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (damaged(_poison), "numbers that are not finite"),
        (damaged(_narrow), "to a matrix of .*: the adapter is for another model"),
        (damaged(_half), "has no lora_B"),
        (damaged(_foreign), "the model has no model.layers.7\\d.*the adapter is for another"),
        (damaged(lambda tensors: None, r=8), "has rank 4 in its tensors, and 8 by r"),
        (damaged(lambda tensors: None, lora_alpha="x"), "lora_alpha should be a number above 0"),
        (damaged(lambda tensors: None, peft_type="LOHA"), "peft_type 'LOHA' is not supported"),
        (damaged(lambda tensors: None, use_qalora=True), "use_qalora is not supported"),
        (damaged(lambda tensors: None, init_lora_weights="pissa_niter_4"), "'pissa_niter_4' has"),
        (damaged(dict.clear), "no tensors of an adapter"),
        (damaged(lambda tensors: None, r=4.5), "the rank r should be a whole number, not 4.5"),
        (damaged(lambda tensors: None, rank_pattern={"(": 4}), "json: the pattern '\\(': missing"),
        (damaged(lambda tensors: None, lora_alpha=1e308), "not finite once it is scaled"),
        (
            damaged(lambda tensors: None, lora_alpha=1e30),
            "has numbers up to .*e\\+\\d+, and 1e\\+06",
        ),
        (damaged(_huge), "has numbers up to .*, and 1e\\+06 is the most: its lora_alpha or its"),
        (damaged(lambda tensors: None, use_dora=True), "use_dora is set.*no lora_magnitude_vector"),
        (damaged(_with_magnitude(3), use_dora=True), "a magnitude of \\(3,\\), the model's matrix"),
        (damaged(_with_magnitude(1), use_dora=True), "a magnitude of \\(1,\\), the model's matrix"),
        (damaged(_embedding_with_dora, use_dora=True), "is an embedding with DoRA"),
        (damaged(_rows(0), trainable_token_indices=[]), "replace rows, each once, not \\(\\)"),
        (damaged(_rows(2), trainable_token_indices=[5, 5]), "each once, not \\(5, 5\\)"),
        (lambda folder, of: folder, "is no adapter: it has none of .*adapter_config.json"),
        (lambda folder, of: folder / "nowhere", "no such file or folder"),
    ],
)
def test_what_is_no_adapter_of_the_model(llm: LLM, make: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises((AdapterError, RequestError, Exception), match=said) as caught:
        llm.load_adapter("bad", make(tmp_path, shapes(llm)))
    assert type(caught.value).__module__.startswith("tramontane"), caught.value
    assert "bad" not in llm.adapters


@pytest.mark.parametrize("llm", ["llama"], indirect=True)
def test_numbers_that_overflow_name_the_adapter(llm: LLM, tmp_path: Path) -> None:
    matrices, norms = {}, {}
    for path, module in llm.inner.loaded.model.named_modules():
        name = f"base_model.model.{path}"
        if type(module) is Linear and ".mlp." in path:
            rows, columns = module.weight.shape
            matrices[f"{name}.lora_A.weight"] = torch.full((4, columns), 500.0)
            matrices[f"{name}.lora_B.weight"] = torch.full((rows, 4), 500.0)
        if path.endswith("post_attention_layernorm"):
            norms[f"{name}.weight"] = torch.full((llm.inner.loaded.config.hidden_size,), 1e6)
    llm.load_adapter("vast", written(tmp_path / "vast", matrices))
    llm.load_adapter("steep", written(tmp_path / "steep", norms))
    several = "adapters steep:1, vast:1000 some logits are not finite: their numbers or weights"
    try:
        with pytest.raises(RequestError, match="adapter vast:1 all logits are equal: its numbers"):
            ask(llm, "vast")
        with pytest.raises(RequestError, match=several):
            ask(llm, {"steep": 1, "vast": 1000})
    finally:
        llm.unload_adapter("vast")
        llm.unload_adapter("steep")
    assert ask(llm, None)[0].error is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("a:x", "weight of the adapter 'a' should be a number within 1000, not 'x'"),
        ({"a": float("inf")}, "within 1000"),
        ("a:0.5, a : 2", "the adapter 'a' is asked for twice"),
        (",".join("a" * n for n in range(1, 19)), "18 adapters together are more than 16"),
    ],
)
def test_what_cannot_be_asked(asked: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        parsed(asked)


@pytest.mark.parametrize("llm", ["llama"], indirect=True)
@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_file_of_an_adapter_means_its_folder(llm: LLM, file: str, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "tales", 0, shapes(llm))
    llm.load_adapter("x", folder / file)
    assert bits(ask(llm, "x")[0]) == bits(ask(llm, "a")[0])
    llm.unload_adapter("x")
    assert named(f"{folder}/{file}:0.5")[0] == "tales"
    (folder / "adapter_config.json").unlink()
    with pytest.raises(AdapterError, match="has weights of an adapter, but no adapter_config"):
        llm.load_adapter("x", folder)


@pytest.mark.parametrize("llm", ["llama"], indirect=True)
def test_patterns_without_a_bound_name_the_file(llm: LLM, tmp_path: Path) -> None:
    of = shapes(llm)
    for index, (patterns, said) in enumerate([
        ({"(?=a)b": 4}, "json: the pattern '\\(\\?=a\\)b': .* not supported"),
        ({"x" * 600: 4}, "has 600 characters, and 512 are the most"),
        ({f"x{number}": 4 for number in range(5000)}, "rank_pattern has 5000 patterns, and 4096"),
    ]):  # fmt: skip
        folder = adapter(tmp_path / str(index), 0, of, rank_pattern=patterns)
        with pytest.raises(AdapterError, match=said):
            llm.load_adapter("bad", folder)
    good = adapter(tmp_path / "good", 0, of, r=8, lora_alpha=16,
                   rank_pattern={".*o_proj": 4, r"layers\.\d+\.mlp\.(up|down)_proj": 4},
                   alpha_pattern={"o_proj": 8, "down_proj": 8})  # fmt: skip
    llm.load_adapter("x", good)
    assert bits(ask(llm, "x")[0]) == bits(ask(llm, "a")[0])
    llm.unload_adapter("x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a/b", ("a/b", 1.0)), ("a/b:0.5", ("a/b", 0.5)), ("org/a:b.gguf", ("org/a:b.gguf", 1.0)),
     ("C:/a:-2", ("C:/a", -2.0)), (":5", (":5", 1.0)), ("a:nan", ("a:nan", 1.0))],
)  # fmt: skip
def test_sources_with_weights(given: str, expected: tuple[str, float]) -> None:
    assert weighed(given) == expected


def test_rows_of_a_product_of_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, generator=generator) for size in ((6, 2), (4, 5)))
    matrix = LowRank(left, right, torch.tensor([0, 0, 0, 1, 1, 1]))
    whole = torch.cat((left[:3] @ right[:2], left[3:] @ right[2:]))
    assert torch.allclose(matrix.decode(), whole)
    picked = torch.tensor([5, 0, 3])
    assert torch.allclose(matrix.rows(picked).decode(), whole[picked])
    with pytest.raises(ValueError, match="cannot be transposed"):
        matrix.turned()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a/b", "adapters should be sources by their names, .*, not 'a/b'"),
        (["a/b"], "adapters should be sources by their names"),
        ({"a": None}, "the adapter 'a' should be a folder, a file or a hub id, not None"),
        ({"a": ""}, "the adapter 'a' should be a folder, a file or a hub id, not ''"),
        ({"a": (".", 1, 2)}, "the adapter 'a' should be a source, or a source and a weight"),
        ({"a": (".", "x")}, "the weight of the adapter 'a' should be .* within 1000, not 'x'"),
        ({7: "."}, "7 is no name for an adapter"),
        ({"none": "."}, "'none' is no name for an adapter"),
    ],
)
def test_what_cannot_be_loaded(given: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        LLM("embedded", adapters=given).close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--lora", "a=b", "--lora", "a=c"), "--lora 'a=c': there is a 'a' already"),
        (("--lora", "a=b", "--adapter", ""), "--adapter '' should be NAME"),
    ],
)
def test_options_that_contradict_each_other(arguments: tuple[str, ...], said: str) -> None:
    parser = argparse.ArgumentParser()
    add_adapters(parser)
    with pytest.raises(UsageError, match=re.escape(said)):
        chosen_adapters(parser.parse_args(arguments))
