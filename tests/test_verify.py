"""`tramontane verify` finds what is wrong with a model, and where."""

from __future__ import annotations

import json
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import tramontane
from safetensors.torch import load_file, save_file
from tramontane import memory
from tramontane.blocks import CausalLM
from tramontane.errors import NoReference, NotEnoughMemory, RequestError
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.testing.compare import OneArchitecture, saved_reference
from tramontane.testing.gguf_file import write_gguf
from tramontane.verifying.result import LIMIT
from tramontane_arch_llama.model import Llama

from .tiny import write_model

Run = Callable[..., tuple[int, str, str]]
SHORT = {"length": 40, "device": "reference"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a tokenizer."""
    path = tmp_path_factory.mktemp("verify") / "tiny"
    write_model(path, num_hidden_layers=3)
    return path


def changed(
    folder: Path, to: Path, config: dict[str, object] | None = None, **scale: float
) -> Path:
    """A copy with other values in config.json, and weights times numbers; `__` is a dot."""
    shutil.copytree(folder, to)
    path = to / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | (config or {})))
    weights = load_file(to / "model.safetensors")
    for name, factor in scale.items():
        weights[name.replace("__", ".")] *= factor
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    return to


def test_a_model_is_right_beside_transformers(folder: Path) -> None:
    found = tramontane.verify(folder, length=120)
    assert (found.verdict, found.right, list(found.weights)) == ("right", True, [])
    assert found.against.startswith("transformers ")
    assert [layer.name for layer in found.layers] == ["embedding", "0", "1", "2", "logits"]
    assert all(layer.error <= LIMIT and not layer.jump for layer in found.layers)
    assert found.layers[1].kind == "Attention, GatedMLP"
    assert found.prompts[-1].tokens == 120  # 96 are computed at once
    assert all(p.tokens_differ is None and p.exact.same == 1 for p in found.prompts)
    assert "right: logits differ by no more than rounding explains" in str(found)


def test_a_changed_weight_is_named(folder: Path, tmp_path: Path) -> None:
    path = "model.layers.1.self_attn.o_proj.weight"
    other = changed(folder, tmp_path / "other", model__layers__1__self_attn__o_proj__weight=1.5)
    found = tramontane.verify(folder, f"folder:{other}", **SHORT)
    assert found.verdict == "wrong"
    assert found.first_wrong is not None
    assert found.first_wrong.name == "1"
    (weight,) = found.weights
    assert (weight.path, weight.ratio) == (path, pytest.approx(1 / 1.5))
    assert "layer 1 (Attention, GatedMLP)" in found.reasons[0]
    assert f"{path} differs by 0.33 of its size" in found.reasons[0]
    assert "0.667 times the other" in found.reasons[0]


@pytest.fixture
def wrong_llama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry]]:
    """(what to do to a Llama once it is built) -> plugins with that Llama."""

    def make(change: Callable[[CausalLM], None]) -> Registry:
        class Wrong(Llama):  # type: ignore[misc, valid-type]
            def __init__(self, cfg: object) -> None:
                super().__init__(cfg)
                change(self)

        module = types.ModuleType("wrong_llama")
        module.Wrong = Wrong  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "wrong_llama", module)
        offer = Registry().get(Architecture, "LlamaForCausalLM")
        return OneArchitecture(replace(offer, model="wrong_llama:Wrong"))

    yield make  # noqa: PT022 - what monkeypatch undoes lasts as long


def scaled_scores(model: CausalLM) -> None:
    model.model.layers[1].self_attn.scale *= 2


def other_weight(model: CausalLM) -> None:
    model.model.layers[1].self_attn.o_proj.register_forward_hook(lambda _, __, out: out * 1.5)


def other_head(model: CausalLM) -> None:
    model.lm_head.register_forward_hook(lambda _, __, out: out * 0.5)


def other_embedding(model: CausalLM) -> None:
    model.model.embed_tokens.register_forward_hook(lambda _, __, out: out * 4)


@pytest.mark.parametrize(
    ("change", "layer", "said"),
    [
        (scaled_scores, "1", "self_attn.v_proj is right, self_attn.o_proj is the first"),
        (other_weight, "1", "self_attn.o_proj is the first"),
        (other_head, "logits", "all layers are right, the logits differ"),
        (other_head, "logits", "it is 0.5 times theirs"),
        (other_embedding, "embedding", "it is 4 times theirs"),
    ],
)
def test_the_layer_that_computes_something_else_is_named(
    folder: Path,
    wrong_llama: Callable[..., Registry],
    change: Callable[[CausalLM], None],
    layer: str,
    said: str,
) -> None:
    found = tramontane.verify(folder, registry=wrong_llama(change), **SHORT)
    assert found.verdict == "wrong"
    assert [each.name for each in found.layers if each.jump] == [layer]
    assert said in found.reasons[0]


def test_a_device_that_is_wrong_is_told_from_the_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tramontane.llm import LLM

    exact = LLM.logits
    monkeypatch.setattr(LLM, "logits", lambda self, ids: exact(self, ids) * 1.01)
    found = tramontane.verify(folder, **SHORT)
    assert found.verdict == "wrong"
    assert "computed exactly, the model is right; on reference" in found.reasons[0]


def test_what_only_longer_prompts_show_is_a_window(folder: Path, tmp_path: Path) -> None:
    window = {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    ours = changed(folder, tmp_path / "ours", {**window, "sliding_window": None})
    theirs = changed(folder, tmp_path / "theirs", {**window, "sliding_window": 16})
    found = tramontane.verify(
        ours,
        f"folder:{theirs}",
        ["short", "a quick brown fox jumps over the dogs"],
        device="reference",
    )
    assert [prompt.exact.first for prompt in found.prompts] == [None, 16]
    assert found.verdict == "wrong"
    assert (
        "prompts of up to 5 tokens are equal, longer ones differ from position 16 on"
        in (found.reasons[-1])
    )


def test_a_gguf_file_beside_its_folder_and_the_other_way_round(
    folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = write_gguf(folder, tmp_path / "model.gguf", permute=True)
    for model, against in ((folder, f"gguf:{file}"), (file, f"folder:{folder}")):
        found = tramontane.verify(model, against, **SHORT)
        assert found.right, found.reasons
        assert len(found.layers) == 5
        assert "token ids are not compared: model.gguf has no tokenizer" in found.notes
    wrong = write_gguf(folder, tmp_path / "wrong.gguf", permute=False)
    found = tramontane.verify(folder, f"gguf:{wrong}", **SHORT)
    assert found.verdict == "wrong"
    assert found.weights[0].path == "model.layers.0.self_attn.q_proj.weight"


def test_weights_in_fewer_bits_are_allowed_what_they_round(folder: Path, tmp_path: Path) -> None:
    half = changed(folder, tmp_path / "half")
    weights = load_file(half / "model.safetensors")
    save_file({n: w.bfloat16() for n, w in weights.items()}, half / "model.safetensors")
    found = tramontane.verify(half, f"folder:{folder}", **SHORT)
    assert found.right, found.reasons
    assert found.prompts[-1].exact.error > LIMIT
    assert "weights rounded by 0.2% at most" in found.bound
    assert tramontane.verify(half, **SHORT).right  # transformers in float32


def test_tokenizers_that_differ_are_told_by_the_first_token(folder: Path, tmp_path: Path) -> None:
    other = changed(folder, tmp_path / "other")
    path = other / "tokenizer.json"
    told = json.loads(path.read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(told))
    found = tramontane.verify(folder, f"folder:{other}", ["xyza"], device="reference")
    assert found.verdict == "differs"
    assert found.prompts[0].tokens_differ is not None
    assert found.prompts[0].tokens_differ.place == 3
    assert "the tokenizers differ: 'xyza', token 3:" in found.reasons[0]


def test_a_chat_template_that_differs_is_told(folder: Path, tmp_path: Path) -> None:
    other = changed(folder, tmp_path / "other")
    path = other / "tokenizer_config.json"
    path.write_text(path.read_text().replace("assistant", "Assistant"))
    found = tramontane.verify(folder, f"folder:{other}", ["x"], device="reference")
    assert found.verdict == "differs"
    assert "'assistant\\n' here, 'Assistant\\n' there" in found.reasons[0]


@pytest.mark.parametrize("family", ["Qwen3NextForCausalLM", "MixtralForCausalLM"])
def test_states_and_experts(family: str, tmp_path: Path) -> None:
    saved_reference(Registry().get(Architecture, family), "transformers", {}, tmp_path)
    found = tramontane.verify(tmp_path, length=41)
    assert found.right, found.reasons
    assert all(layer.own is not None for layer in found.layers)
    assert [prompt.tokens for prompt in found.prompts] == [1, 37, 41]
    kinds = {layer.kind for layer in found.layers}
    assert any("SparseMoE" in kind for kind in kinds)
    assert any("GatedDeltaNet" in kind for kind in kinds) == family.startswith("Qwen")


def test_the_command_prints_and_exits(run: Run, folder: Path, tmp_path: Path) -> None:
    short = ("--prompt", "ab", "--device", "reference")
    status, out, _ = run("verify", folder, *short)
    assert status == 0
    assert out.splitlines()[-1].startswith("right: ")
    assert max(map(len, out.splitlines())) <= 80
    other = changed(folder, tmp_path / "other", model__norm__weight=1.5)
    status, out, _ = run("verify", folder, "--against", f"folder:{other}", *short, "--json")
    told = json.loads(out)
    assert (status, told["right"], told["verdict"]) == (1, False, "wrong")
    assert told["layers"][-1]["jump"]
    assert told["prompts"][0]["exact"]["error"] > told["prompts"][0]["exact"]["allowed"]
    assert told["weights"][0]["path"] == "model.norm.weight"


@pytest.mark.parametrize(
    ("against", "absent", "said"),
    [
        (None, "transformers", "pip install transformers"),
        ("transformers", "transformers", "pip install transformers"),
        ("transformers:Nobody", "", "has no model class Nobody"),
        ("llama.cpp", "", "it reads GGUF files, and tiny is none"),
        ("vllm", "", "transformers, transformers:CLASS, llama.cpp, gguf:FILE or folder:PATH"),
    ],
)
def test_what_cannot_be_compared_with_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, against: str | None, absent: str, said: str
) -> None:
    if absent:
        monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(NoReference, match=said):
        tramontane.verify(folder, against)


def test_a_gguf_file_without_llama_cpp(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = write_gguf(folder, tmp_path / "model.gguf", permute=True)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(NoReference, match="pip install llama-cpp-python"):
        tramontane.verify(file, "llama.cpp")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NoReference, match="pip install llama-cpp-python, or pip install transf"):
        tramontane.verify(file)


@pytest.mark.skipif(find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed")
def test_a_gguf_file_beside_llama_cpp(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = write_gguf(folder, tmp_path / "model.gguf", permute=True)
    found = tramontane.verify(file, **SHORT)
    assert found.right, found.reasons
    assert found.against.startswith("llama.cpp")
    assert not found.layers


def test_too_little_memory_names_both_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(w.numel() for w in load_file(folder / "model.safetensors").values())
    monkeypatch.setattr(memory, "free", lambda: 100_000)
    with pytest.raises(NotEnoughMemory, match=f"{needed:,} numbers in f32, and 100 KB are free"):
        tramontane.verify(folder, **SHORT)


def test_prompts_that_cannot_be(folder: Path) -> None:
    with pytest.raises(RequestError, match="300 tokens are not from 1 to 256"):
        tramontane.verify(folder, prompts=["x" * 300])


def test_a_plot(run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plot.png"
    asked = ("verify", folder, "--prompt", "ab", "--device", "reference", "--plot", file)
    if find_spec("matplotlib") is not None:
        assert run(*asked)[0] == 0
        assert file.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run(*asked)
    assert status == 1
    assert "matplotlib is not installed; pip install matplotlib" in err
