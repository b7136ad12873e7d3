"""Mixtures of experts: what a plain torch model of the same arithmetic computes, and the same bits
however a prompt is cut, whoever else is served."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tramontane import LLM, SamplingParams
from tramontane.engine.request import RequestResult
from tramontane_plugin_anymoe.gates import Gate, write_gates
from tramontane_plugin_anymoe.halves import halves_of
from tramontane_plugin_anymoe.mixture import Mixture
from tramontane_plugin_anymoe.settings import GATE_FILE, MixtureSettings

from .parity import reference
from .test_adapters import adapter, bits
from .tiny import write_model

EXACT: dict[str, Any] = {"dtype": "f32", "activations": "f32", "kv_type": "f32"}
PROMPTS = [[(7 * i + 3 * k) % 90 for i in range(5 + 11 * k)] for k in range(6)]
GREEDY = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True, logprobs=True)
FAMILIES = [
    ("llama", "reference"),
    ("llama", "cpu"),
    ("qwen3", "cpu"),
    ("phi3", "cpu"),  # gate and up in one matrix
    ("gemma2", "cpu"),
    ("starcoder2", "cpu"),  # no gate in its feed-forward halves, biases
]


def made(family: str, folder: Path, seed: int) -> Any:
    """A random model; others of the same configuration by other seeds."""
    record = reference.FAMILIES[family]
    name = "grouped" if "grouped" in record.variants else next(iter(record.variants))
    settings = {**record.shared, **record.variants[name]}
    model = reference.random(record, settings, seed)
    reference.save(record, model, folder)
    return model


def lora(folder: Path, seed: int, model: Any) -> Path:
    """An adapter of all matrices of feed-forward halves, named as transformers has them."""
    of = {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".mlp." in name
    }
    return adapter(folder, seed, of)


def merged(model: Any, seed: int) -> Any:
    """A copy of a model with what `lora` adds."""
    changed, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for name, module in changed.named_modules():
        if isinstance(module, torch.nn.Linear) and ".mlp." in name:
            right = torch.randn(4, module.in_features, generator=generator) / 8
            left = torch.randn(module.out_features, 4, generator=generator) / 8
            module.weight.data += 2 * left @ right
    return changed


def gates(llm: LLM, layers: Sequence[int] | None, experts: int, *, inner: int = 0) -> list[Gate]:
    """Random ones, which choose this and that."""
    make = torch.Generator().manual_seed(3)
    halves = halves_of(llm.inner.loaded.model, "the model", layers)
    found = []
    for half in halves:
        read = inner or half.hidden
        weight, bias = torch.randn(experts, read, generator=make), torch.zeros(experts)
        rest = (torch.randn(inner, half.hidden, generator=make), torch.ones(inner)) if inner else ()
        found.append(Gate(weight, bias, *rest))
    return found


def write(
    folder: Path, llm: LLM, experts: Sequence[Path], *, layers: Sequence[int] | None = None,
    inner: int = 0, **more: Any,
) -> Path:  # fmt: skip
    """A mixture with random gates."""
    halves = halves_of(llm.inner.loaded.model, "the model", layers)
    folder.mkdir(exist_ok=True)
    numbers = tuple(half.layer for half in halves)
    write_gates(gates(llm, layers, 1 + len(experts), inner=inner), numbers, folder / GATE_FILE)
    architecture = llm.inner.adapters.host.architecture.name
    MixtureSettings(
        "base", architecture, halves[0].hidden, numbers, tuple(map(str, experts)),
        gate_hidden=inner, **more,
    ).write(folder)  # fmt: skip
    return folder


class Plain:
    """The same in transformers: each expert a whole model, whose halves are put into the first."""

    def __init__(self, models: Sequence[Any], gates: Sequence[Gate], layers: Sequence[int]) -> None:
        self._model = copy.deepcopy(models[0])
        self._own = [layer.mlp for layer in self._model.model.layers]
        self._halves = [[layer.mlp for layer in model.model.layers] for model in models]
        self._gates, self._layers = gates, layers

    def _likely(self, gate: Gate, x: torch.Tensor) -> torch.Tensor:
        if gate.inner is not None:
            x = torch.relu(x @ gate.inner.T + gate.inner_bias)
        return (x @ gate.weight.T + gate.bias).softmax(-1)

    def by_prompt(self, prompt: Sequence[int]) -> tuple[tuple[int, ...], torch.Tensor]:
        """The experts of the layers, and logits (tokens, vocabulary)."""
        seen: dict[int, torch.Tensor] = {}
        hooks = [
            self._own[layer].register_forward_pre_hook(
                lambda _, given, layer=layer: seen.__setitem__(layer, given[0][0])
            )
            for layer in self._layers
        ]
        reference.prefill(self._model, prompt)
        for hook in hooks:
            hook.remove()
        choice = tuple(
            int(self._likely(gate, seen[layer]).mean(0).argmax())
            for layer, gate in zip(self._layers, self._gates, strict=True)
        )
        for layer, expert in zip(self._layers, choice, strict=True):
            self._model.model.layers[layer].mlp = self._halves[expert][layer]
        found = reference.prefill(self._model, prompt)
        for layer, own in enumerate(self._own):
            self._model.model.layers[layer].mlp = own
        return choice, found

    def by_token(self, prompt: Sequence[int]) -> torch.Tensor:
        """Logits where each token has its own experts."""
        for layer, gate in zip(self._layers, self._gates, strict=True):
            self._model.model.layers[layer].mlp = _Routed(
                self._likely, gate, [halves[layer] for halves in self._halves]
            )
        found = reference.prefill(self._model, prompt)
        for layer, own in enumerate(self._own):
            self._model.model.layers[layer].mlp = own
        return found


class _Routed(torch.nn.Module):
    def __init__(self, likely: Any, gate: Gate, halves: Sequence[Any]) -> None:
        super().__init__()
        self._likely, self._gate, self._halves = likely, gate, halves

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = self._likely(self._gate, x[0]).argmax(-1)
        rows = [self._halves[int(one)](x[:, i : i + 1])[0] for i, one in enumerate(chosen)]
        return torch.cat(rows)[None]


def logits(llm: LLM, prompt: Sequence[int], asked: str) -> Any:
    request = llm.inner.logits_request(prompt)
    changed = type(request)(**{**vars(request), "adapters": llm.inner.adapters.applied(asked)})
    (found,) = llm._results([changed])
    assert found.error is None
    return found.prompt_logits


def near(found: Any, expected: torch.Tensor) -> None:
    error = np.abs(found - expected.numpy()).max() / np.abs(expected.numpy()).max()
    assert error < 1e-4, error


@pytest.mark.parametrize(("family", "device"), FAMILIES)
def test_what_a_plain_model_computes(family: str, device: str, tmp_path: Path) -> None:
    base, other = made(family, tmp_path / "base", 1), made(family, tmp_path / "other", 8)
    experts = [tmp_path / "other", lora(tmp_path / "lora", 5, base)]
    with LLM(tmp_path / "base", device=device, num_ctx=128, **EXACT) as llm:
        assert llm.report.eager_reason is None
        inner = 6 if family == "llama" else 0
        llm.load_adapter("m", write(tmp_path / "m", llm, experts, inner=inner))
        plain_gates = gates(llm, None, 3, inner=inner)
        plain = Plain([base, other, merged(base, 5)], plain_gates, range(len(plain_gates)))
        mixture = llm.inner.adapters.applied("m")
        assert isinstance(mixture, Mixture)
        choices = set()
        for prompt in PROMPTS:
            choice, expected = plain.by_prompt(prompt)
            near(logits(llm, prompt, "m"), expected)
            assert mixture.choice_of(tuple(prompt)) == choice
            choices.add(choice)
            near(logits(llm, prompt, ""), reference.prefill(base, prompt))
        assert len(choices) > 1, "the gates choose differently"
        assert {1, 2} & {each for choice in choices for each in choice}
        llm.load_adapter("t", write(tmp_path / "t", llm, experts, inner=inner, decide="token"))
        for prompt in PROMPTS[:3]:
            near(logits(llm, prompt, "t"), plain.by_token(prompt))


@pytest.fixture(scope="module", params=["adapters", "models", "both", "token"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and four experts."""
    root = tmp_path_factory.mktemp("models")
    base = made("llama", root / "base", 1)
    for seed in (2, 3):
        made("llama", root / f"model{seed}", seed)
        lora(root / f"lora{seed}", seed, base)
    return root


@pytest.fixture(scope="module")
def llm(folders: Path, kind: str) -> Iterator[LLM]:
    with opened(folders, kind) as found:
        yield found


def opened(folders: Path, kind: str, **more: Any) -> LLM:
    names = {
        "adapters": ("lora2", "lora3"),
        "models": ("model2", "model3"),
        "both": ("lora2", "model3"),
        "token": ("lora2", "model3"),
    }[kind]
    found = LLM(folders / "base", device="cpu", num_ctx=256, kv_tokens=4096, **more)
    decide = {"decide": "token"} if kind == "token" else {}
    folder = write(folders / kind, found, [folders / each for each in names], **decide)
    found.load_adapter("m", folder)
    return found


def ask(llm: LLM, prompts: Sequence[Sequence[int]], asked: Any = "m", **more: Any) -> list[Any]:
    params = GREEDY.model_copy(update={"adapter": asked, **more})
    requests = [one for each in prompts for one in llm.inner.requests(tuple(each), params)]
    return llm._results(requests)


def forget(llm: LLM) -> None:
    """What was decided."""
    mixture = llm.inner.adapters.applied("m")
    assert isinstance(mixture, Mixture)
    mixture._known.clear()


def test_the_same_bits_alone_in_company_and_after_a_known_prefix(llm: LLM, kind: str) -> None:
    plain = [bits(each) for each in ask(llm, PROMPTS, None)]
    alone = [bits(ask(llm, [prompt])[0]) for prompt in PROMPTS]
    assert alone != plain
    if kind != "token":
        mixture = llm.inner.adapters.applied("m")
        assert isinstance(mixture, Mixture)
        choices = {mixture.choice_of(tuple(prompt)) for prompt in PROMPTS}
        assert len(choices) > 1
        assert None not in choices
    for _ in range(2):
        forget(llm)
        mixed = [*ask(llm, PROMPTS), *ask(llm, PROMPTS, None)]
        assert [bits(each) for each in mixed] == [*alone, *plain]
    assert mixed[5].usage.cached_tokens, "what was computed with the same experts is known"
    together = [
        one
        for prompt in PROMPTS
        for asked in ("m", None)
        for one in llm.inner.requests(tuple(prompt), GREEDY.model_copy(update={"adapter": asked}))
    ]
    forget(llm)
    found = [bits(each) for each in llm._results(together)]
    assert found == [each for pair in zip(alone, plain, strict=True) for each in pair]


def test_the_same_bits_however_the_prompt_is_cut(llm: LLM, folders: Path, kind: str) -> None:
    whole = [bits(each) for each in ask(llm, PROMPTS[:5])]
    with opened(folders, kind, batch_size=5, prefix_cache=False) as cut:
        assert [bits(each) for each in ask(cut, PROMPTS[:5])] == whole


def test_several_answers_and_what_goes_on(llm: LLM) -> None:
    drawn = {"temperature": 1.0, "seed": 3, "n": 3}
    forget(llm)
    first = [bits(each) for each in ask(llm, PROMPTS[4:5], **drawn)]
    again = [bits(each) for each in ask(llm, PROMPTS[4:5], **drawn)]
    assert first == again
    assert len({repr(each) for each in first}) > 1


def test_sequences_that_give_way_answer_the_same(folders: Path, llm: LLM, kind: str) -> None:
    whole = [bits(each) for each in ask(llm, PROMPTS, max_tokens=40)]
    with opened(folders, kind, batch_size=16) as small:
        engine = small.inner.engine
        engine.cache.pool.take(engine.cache.pool.free - 9)
        assert [bits(each) for each in ask(small, PROMPTS, max_tokens=40)] == whole
        assert engine.stats().preemptions


def test_a_mixture_is_asked_for_alone(llm: LLM, folders: Path) -> None:
    from tramontane.errors import RequestError

    llm.load_adapter("other", folders / "lora2")
    for asked in ("m:0.5", "m,other", {"m": 1, "other": 0.5}):
        with pytest.raises(RequestError, match="alone, and with the weight 1"):
            ask(llm, PROMPTS[:1], asked)
    llm.unload_adapter("other")


def test_cancelled_and_closed_while_it_decides(folders: Path, kind: str) -> None:
    found = opened(folders, kind, batch_size=1)
    request = found.inner.requests(tuple(PROMPTS[5]), GREEDY.model_copy(update={"adapter": "m"}))
    ended: list[RequestResult] = []

    def sink(event: Any) -> None:
        if hasattr(event, "result"):
            ended.append(event.result)

    cancel = found.inner.engine.submit(request[0], sink)
    cancel()
    assert found.inner.engine.drain(30)
    assert [each.finish_reason for each in ended] == ["cancelled"]
    found.close()
    found = opened(folders, kind, batch_size=1)
    (request2,) = found.inner.requests(
        tuple(PROMPTS[5]), GREEDY.model_copy(update={"adapter": "m", "max_tokens": 150})
    )
    found.inner.engine.submit(request2, sink)
    found.close()
    assert [each.finish_reason for each in ended] == ["cancelled", "cancelled"]
    assert not found.inner.engine.stats().failed_steps


def chosen(folder: Path, expert: int) -> Path:
    """The mixture of a folder, which now chooses one expert always."""
    tensors = load_file(folder / GATE_FILE)
    for name, tensor in tensors.items():
        tensor.zero_()
        if name.endswith(".bias"):
            tensor[expert] = 1
    save_file(tensors, folder / GATE_FILE)
    return folder


KINDS = [("", ""), ("q4_0", "q4_0"), ("q8_0", "q4_k"), ("q6_k", "")]


@pytest.mark.parametrize(("base_kind", "expert_kind"), KINDS)
def test_a_chosen_model_is_in_the_place_of_the_models_halves(
    base_kind: str, expert_kind: str, tmp_path: Path
) -> None:
    """The bits of one model whose file has the matrices of both."""
    folders = {name: tmp_path / name for name in ("base", "expert", "both")}
    for folder in folders.values():
        write_model(folder, hidden_size=256, intermediate_size=512)
    file = folders["base"] / "model.safetensors"
    own = load_file(file)
    other = {name: tensor.roll(1, 0) if ".mlp." in name else tensor for name, tensor in own.items()}
    both = own | {name: tensor for name, tensor in other.items() if ".layers.1.mlp." in name}
    for name, tensors in (("expert", other), ("both", both)):
        save_file(tensors, folders[name] / file.name, {"format": "pt"})
    if base_kind:
        folders["base"] = quantized(folders["base"], base_kind)
    if expert_kind:
        folders["expert"] = quantized(folders["expert"], expert_kind)
    if base_kind == expert_kind != "":
        folders["both"] = quantized(folders["both"], base_kind)
    with LLM(folders["base"], device="cpu") as llm:
        folder = write(tmp_path / "m", llm, [folders["expert"]], layers=[1])
        llm.load_adapter("m", chosen(folder, 1))
        prompts = [[one % 24 for one in prompt] for prompt in PROMPTS]
        found, plain = ([bits(each) for each in ask(llm, prompts, one)] for one in ("m", None))
        assert found != plain
        llm.load_adapter("own", chosen(folder, 0))
        assert [bits(each) for each in ask(llm, prompts, "own")] == plain
        assert llm.report.eager_reason is None
        steps = vars(llm.inner.loaded.model)["step"].__self__._replaced
        assert len(steps._programs) == 1, "its steps were recorded"
    if base_kind == expert_kind:
        with LLM(folders["both"], device="cpu") as llm:
            assert [bits(each) for each in ask(llm, prompts, None)] == found


def quantized(source: Path, kind: str) -> Path:
    from tramontane.cli.quantize import run

    file = source.with_suffix(".gguf")
    assert run([str(source), str(file), "--to", kind]) == 0
    return file
