"""What every model family must do, built from its example with random weights."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from safetensors.torch import save_file

from tramontane.blocks import CausalLM
from tramontane.checkpoint.build import build
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.checkpoint.weight_map import slots
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import ConfigError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.testing.compare import NoReference
from tramontane.testing.conformance import EAGER
from tramontane.testing.containers import installed_containers
from tramontane.testing.engine_runs import CONTEXT, EngineRuns
from tramontane.testing.forward_passes import in_pieces, together, whole
from tramontane.testing.gguf_names import llama_cpp_name, unreached
from tramontane.testing.random_model import RandomCheckpoint, random_model

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
Property: TypeAlias = Callable[[str, object], None]


TEXT = ("model", "lm_head")
"""The parts of a model that are its language model."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Threads only get in each other's way over matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prompt(offer: Architecture, length: int, seed: int = 0) -> list[int]:
    """Random tokens; two blocks of the cache hold 32."""
    return random.Random(seed).choices(range(offer.example["vocab_size"]), k=length)


@cache
def _model(name: str, target: str, example: str, offer: Architecture) -> CausalLM:
    return random_model(offer)


@pytest.fixture
def model(offer: Architecture) -> CausalLM:
    """The example with random weights."""
    return _model(offer.name, offer.model, repr(offer.example), offer)


@cache
def _runs(name: str, target: str, example: str, offer: Architecture) -> EngineRuns:
    return EngineRuns(random_model(offer))


@pytest.fixture
def runs(offer: Architecture) -> EngineRuns:
    """Another such model, behind the engine."""
    found = _runs(offer.name, offer.model, repr(offer.example), offer)
    allowed = found.model.cfg.max_position_embeddings
    assert allowed >= CONTEXT, f"the example must allow {CONTEXT} positions, not {allowed}"
    return found


def test_the_example_validates(offer: Architecture) -> None:
    assert offer.example, "example= must be a tiny config.json: 2 layers, width 32"
    config = read_config(load(offer.config), offer.example)
    assert isinstance(config, DecoderConfig), "config= must name a subclass of DecoderConfig"
    assert config.num_hidden_layers <= 4, "the example must be tiny: 2 layers are enough"
    with pytest.raises(Exception, match="frozen"):
        config.vocab_size = 1


def test_the_model_builds_without_memory(offer: Architecture) -> None:
    config = read_config(load(offer.config), offer.example)
    assert isinstance(config, DecoderConfig)
    model = build(offer, config)
    assert isinstance(model, CausalLM), "model= must name a subclass of CausalLM"
    kept = [name for name, buffer in model.named_buffers() if buffer.device.type != "meta"]
    assert not kept, f"{kept} were computed in a constructor, which runs on the meta device"


def test_every_parameter_has_one_source(offer: Architecture) -> None:
    random_model(offer)  # the loader refuses missing, unused and doubled tensors by name


def test_every_parameter_has_one_source_in_each_container(offer: Architecture) -> None:
    if not offer.aliases:
        pytest.skip("no alias: no container names this architecture")
    containers = installed_containers()
    if not containers:
        pytest.skip("no container format is installed")
    for container in containers:
        random_model(offer, container.dialect, container.names)


def test_llama_cpps_names_fill_every_parameter(offer: Architecture, model: CausalLM) -> None:
    containers = [each for each in installed_containers() if each.dialect == "gguf"]
    if not containers:
        pytest.skip("tramontane-quant-gguf is not installed")
    try:
        name = llama_cpp_name(offer)
    except NoReference as error:
        pytest.skip(str(error))
    missing, nowhere = unreached(name, offer, model, containers[0])
    if offer.encoders:  # whose tensors are in a file of their own
        inner = tuple(f"{path}." for path, _ in model.named_children() if path not in TEXT)
        missing = [path for path in missing if not path.startswith(inner)]
    if offer.metadata is not None:  # which may have single numbers instead of tensors
        single = {path for path, each in model.named_parameters() if each.numel() == 1}
        missing = [path for path in missing if path not in single]
    assert not missing, (
        f"no tensor that llama.cpp's files of {name} have fills {', '.join(missing)}; a Rename "
        f"under 'gguf' of weights= is missing. Names of {name} that lead nowhere: "
        f"{', '.join(nowhere) or 'none'}"
    )


def test_logits_are_finite_and_shaped(offer: Architecture, model: CausalLM) -> None:
    tokens = prompt(offer, 20)
    logits = whole(model, tokens)
    assert logits.shape == (20, offer.example["vocab_size"])
    assert logits.isfinite().all()
    assert logits.std() > 0, "every token gets the same logits"


def test_a_prompt_in_chunks_gives_the_same_logits(offer: Architecture, model: CausalLM) -> None:
    tokens = prompt(offer, 40)
    expected = whole(model, tokens)
    for sizes in ([16, 16, 8], [7, 20, 13], [39, 1]):
        torch.testing.assert_close(in_pieces(model, tokens, sizes), expected, **CLOSE)


def test_decoding_from_the_cache_gives_the_same_logits(
    offer: Architecture, model: CausalLM
) -> None:
    tokens = prompt(offer, 24)
    one_by_one = in_pieces(model, tokens, [5, *[1] * 19])
    torch.testing.assert_close(one_by_one, whole(model, tokens), **CLOSE)


def test_a_batch_gives_what_each_gives_alone(offer: Architecture, model: CausalLM) -> None:
    prompts = [prompt(offer, length, seed=length) for length in (1, 33, 7, 16)]
    for tokens, logits in zip(prompts, together(model, prompts), strict=True):
        torch.testing.assert_close(logits, whole(model, tokens), **CLOSE)


@pytest.fixture
def saved(offer: Architecture, model: CausalLM, tmp_path: Path) -> Path:
    """A folder with the model's weights in float32."""
    checkpoint = RandomCheckpoint(offer, model, offer.example)
    tensors = {name: checkpoint.read(name).decode() for name in checkpoint.header.tensors}
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"architectures": [offer.name], **offer.example}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize("device", ["reference", "auto"])
def test_it_loads_from_a_folder(
    offer: Architecture, model: CausalLM, saved: Path, device: str, record_property: Property
) -> None:
    opened = open_checkpoint(saved, Registry())
    exact = LoadOptions(device=device, dtype="f32", activations="f32", kv_type="f32")
    loaded = load_model(opened, Registry(), exact)
    for path, slot in slots(loaded.model).items():
        if device == "reference":
            assert getattr(slot.module, slot.name).data.is_contiguous(), f"{path} is a view"
    if loaded.report.eager_reason is not None:
        record_property(
            EAGER, f"{offer.name} on {loaded.device.name}: {loaded.report.eager_reason}"
        )
    tokens = prompt(offer, 12)
    torch.testing.assert_close(whole(loaded.model, tokens), whole(model, tokens), **CLOSE)
    opened.close()


def test_a_known_prefix_gives_the_same_bits(offer: Architecture, runs: EngineRuns) -> None:
    first = prompt(offer, 40, seed=1)
    prompts = [first, first, [*first[:33], *prompt(offer, 5, seed=2)], first]
    expected = [runs.alone(tokens) for tokens in prompts]
    assert runs.again(prompts) == expected, "an answer depends on the requests before it"


def test_answers_to_one_prompt_give_the_same_bits(offer: Architecture, runs: EngineRuns) -> None:
    tokens, seeds = prompt(offer, 40, seed=3), [4, 5, 6]
    expected = [runs.alone(tokens, seed) for seed in seeds]
    assert runs.forked(tokens, seeds) == expected, "answers that share a prompt (n > 1) differ"


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_a_preempted_request_gives_the_same_bits(
    offer: Architecture, runs: EngineRuns, prefix_cache: bool
) -> None:
    prompts = [prompt(offer, length, seed=length) for length in (14, 9)]
    expected = [runs.alone(tokens, seed, count=26) for seed, tokens in enumerate(prompts)]
    found = runs.preempted(prompts, count=26, prefix_cache=prefix_cache)
    assert found == expected, "a request that was preempted and computed again differs"


def test_a_resumed_session_gives_the_same_bits(offer: Architecture, runs: EngineRuns) -> None:
    found, whole_prompt = runs.resumed(prompt(offer, 20, seed=7), prompt(offer, 5, seed=8))
    expected = runs.alone(whole_prompt)
    assert found == expected, "saved keys and values are not all that an answer depends on"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_act", "no_such_activation"),
        ("rope_scaling", {"rope_type": "no_such_scaling", "factor": 2.0}),
        ("num_attention_heads", 0),
        ("vocab_size", -1),
    ],
)
def test_an_unsupported_value_is_refused_by_name(
    offer: Architecture, field: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=field):
        read_config(load(offer.config), {**offer.example, field: value})
