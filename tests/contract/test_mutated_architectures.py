"""A family that is right passes the kit; the ways to be wrong that it did not notice fail."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tramontane.errors import CheckpointError
from tramontane.plugin import Architecture
from tramontane.testing.checks import architectures as checks
from tramontane.testing.compare import LogitsDiffer, NoReference, compare
from tramontane.testing.compare_gguf import AS_THEY_ARE, compare_gguf
from tramontane.testing.defaults import wrong_defaults
from tramontane.testing.engine_runs import EngineRuns
from tramontane.testing.random_model import random_model

COHERE = """
import torch
from torch import nn
from tramontane.blocks import Attention, CausalLM, GatedMLP, LayerNorm, ParallelLayer, RMSNorm
from tramontane.blocks import rope_for
from tramontane.checkpoint.rules import Deinterleave
from tramontane.config import LayerNormConfig


class Config(LayerNormConfig):
    logit_scale: float = 0.0625
    tie_word_embeddings: bool = True
    absent = {"rope_theta": 500000.0, "max_position_embeddings": 8192}


class WithoutMean(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.weight, self.eps = norm.weight, norm.eps

    def forward(self, x):
        return x / (x.var(-1, keepdim=True, unbiased=False) + self.eps).sqrt() * self.weight


def norm(cfg):
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)


def layer(cfg, index):
    attention = Attention(cfg, index, rope=rope_for(cfg))
    return ParallelLayer(cfg, attention, GatedMLP(cfg), norm=norm)


class Model(CausalLM):
    Layer = staticmethod(layer)
    Norm = staticmethod(norm)

    def logits(self, x):
        return super().logits(x) * self.cfg.logit_scale


PAIRS = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
WEIGHTS = {"hf": PAIRS, "gguf": PAIRS}
"""
WRONG = {
    "halves rotated": ('"hf": PAIRS', '"hf": []'),
    "logits not scaled": (" * self.cfg.logit_scale", ""),
    "no rotation": ("rope=rope_for(cfg)", "rope=None"),
    "rms norm": (
        "return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)",
        "return RMSNorm(cfg.hidden_size, cfg.layer_norm_eps)",
    ),
    "mean not subtracted": (
        "return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)",
        "return WithoutMean(LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False))",
    ),
    "a window": ("rope=rope_for(cfg)", "rope=rope_for(cfg), window=4"),
}
RECURRENT = '''
import torch
from torch import nn
from tramontane.blocks import CausalLM, GatedMLP, PreNormLayer
from tramontane.config import DecoderConfig as Config


class Average(nn.Module):
    """A moving average of what went before; its state is found by a block of the cache."""

    def __init__(self, cfg, index):
        super().__init__()
        self.index, self.kv_heads, self.d_head, self.kept = index, 1, 2, {}

    def forward(self, x, batch):
        rows = []
        for span in batch.spans:
            first = span.length - span.count
            for place in range(span.count):
                row, position = x[span.start + place], first + place
                if position == 0:
                    state = torch.zeros_like(row)
                else:
                    state = self.kept.get(span.blocks[BEFORE], torch.zeros_like(row))
                state = 0.7 * state + 0.3 * row
                self.kept[span.blocks[NOW]] = state
                rows.append(state)
        return torch.stack(rows)


class Model(CausalLM):
    @staticmethod
    def Layer(cfg, index):
        return PreNormLayer(cfg, Average(cfg, index), GatedMLP(cfg))
'''
STATES = {
    "the sequence's first block": {"BEFORE": "0", "NOW": "0"},
    "the token's own block": {"BEFORE": "(position - 1) // 16", "NOW": "position // 16"},
}
TINY = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4,
}  # fmt: skip
OFFER = Architecture(name="CohereForCausalLM", config="", model="", example=TINY)

Plugin = Callable[[str, str], Architecture]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """(module name, its text) -> an offer of its Config and Model, which is not installed."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def write(name: str, text: str) -> Architecture:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        made.append(name)
        weights = f"{name}:WEIGHTS" if "WEIGHTS" in text else None
        return replace(OFFER, config=f"{name}:Config", model=f"{name}:Model", weights=weights)

    torch.set_num_threads(1)
    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_a_family_that_is_right_is_equal_to_the_reference(plugin: Plugin) -> None:
    offer = plugin("acme_cohere", COHERE)
    for settings in ({}, {"num_key_value_heads": 2}):
        found = compare(offer, settings=settings)
        assert found.difference < 1e-5
        assert found.reference.endswith("CohereForCausalLM")
    named = replace(offer, name="AcmeForCausalLM")
    assert compare(named, "transformers:CohereForCausalLM").difference < 1e-5


@pytest.mark.parametrize("mutation", WRONG)
def test_one_that_is_wrong_differs_from_the_reference(plugin: Plugin, mutation: str) -> None:
    before, after = WRONG[mutation]
    assert before in COHERE
    offer = plugin("acme_cohere_wrong", COHERE.replace(before, after))
    with pytest.raises(LogitsDiffer, match="CohereForCausalLM on reference: logits differ from"):
        compare(offer)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("transformers", "has no model class AcmeForCausalLM; name the one to compare"),
        ("transformers:CohereConfig", "has no model class CohereConfig"),
        ("vllm", "what can be compared with is transformers"),
    ],
)
def test_a_reference_that_is_not_there_is_named(
    plugin: Plugin, reference: str, message: str
) -> None:
    offer = replace(plugin("acme_cohere", COHERE), name="AcmeForCausalLM")
    with pytest.raises(NoReference, match=message):
        compare(offer, reference)


def test_without_transformers_the_message_says_so(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NoReference, match="pip install transformers"):
        compare(plugin("acme_cohere", COHERE))


@pytest.mark.parametrize("state", STATES)
def test_state_that_is_not_in_the_cache_changes_bits(plugin: Plugin, state: str) -> None:
    text = RECURRENT
    for name, index in STATES[state].items():
        text = text.replace(f"[{name}]", f"[{index}]")
    offer = plugin("acme_recurrent", text)
    runs = EngineRuns(random_model(offer))
    found = []
    for check in (
        checks.test_a_known_prefix_gives_the_same_bits,
        checks.test_answers_to_one_prompt_give_the_same_bits,
        checks.test_a_resumed_session_gives_the_same_bits,
    ):
        try:
            check(offer, runs)
        except AssertionError:
            found.append(check.__name__)
    assert found, "no check of the engine noticed it"
    checks.test_a_prompt_in_chunks_gives_the_same_logits(offer, random_model(offer))


def test_the_first_position_tells_rotation_from_the_rest(plugin: Plugin) -> None:
    for mutation, said in (
        ("no rotation", "Position 0 is equal; the first that differs is 1"),
        ("a window", "Position 0 is equal; the first that differs is 4"),
        ("rms norm", "Position 0 differs already"),
    ):
        offer = plugin(f"acme_{mutation.replace(' ', '_')}", COHERE.replace(*WRONG[mutation]))
        with pytest.raises(LogitsDiffer, match=said):
            compare(offer)


def test_rules_of_gguf_are_held_to_llama_cpps_names(plugin: Plugin) -> None:
    pytest.importorskip("gguf")
    offer = replace(plugin("acme_cohere", COHERE), aliases=("command-r",))
    found = compare_gguf(offer)
    assert found.ways == (AS_THEY_ARE,)
    assert "CohereForCausalLM from gguf: equal to the reference with rows of q and k" in str(found)
    installed = find_spec("llama_cpp") is not None
    assert installed or "since llama-cpp-python is not installed" in str(found)
    assert found.proven <= installed
    checks.test_llama_cpps_names_fill_every_parameter(offer, random_model(offer))


def test_rules_of_gguf_that_leave_pairs_differ(plugin: Plugin) -> None:
    pytest.importorskip("gguf")
    text = COHERE.replace('"gguf": PAIRS', '"gguf": []')
    offer = replace(plugin("acme_halves", text), aliases=("command-r",))
    with pytest.raises(LogitsDiffer, match=r"under the names of command-r.*Position 0 is equal"):
        compare_gguf(offer)


def test_a_missing_rename_of_gguf_is_named(plugin: Plugin) -> None:
    pytest.importorskip("gguf")
    page = (Path(__file__).parents[2] / "docs" / "writing-an-architecture.md").read_text("utf-8")
    text = page.partition("/model.py\n")[2].partition("```")[0].replace("OlmoConfig", "Config")
    text = text.replace("class Olmo(", "class Model(")
    olmo2 = {"name": "Olmo2ForCausalLM", "aliases": ("olmo2",)}
    right = replace(plugin("acme_olmo_right", text), **olmo2)
    checks.test_llama_cpps_names_fill_every_parameter(right, random_model(right))
    wrong = replace(plugin("acme_olmo_wrong", text.replace("+ GGUF", "+ GGUF[1:]")), **olmo2)
    with pytest.raises(AssertionError, match=r"fills .*post_attention_layernorm.*post_attention_n"):
        checks.test_llama_cpps_names_fill_every_parameter(wrong, random_model(wrong))
    none = replace(plugin("acme_olmo_none", text.replace("+ GGUF", "+ []")), **olmo2)
    with pytest.raises(CheckpointError, match=r"no tensor name of gguf means .*needs under 'gguf'"):
        checks.test_every_parameter_has_one_source_in_each_container(none)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("500000.0", "10000.0", r"without rope_\w+ in config.json rope_theta is 10000.0; to the"),
        ("embeddings: bool = True", "embeddings: bool = False", "tie_word_embeddings is False; to"),
        ("logit_scale: float = 0.0625", "logit_scale: float = 1.0", "logit_scale is 1.0; to the"),
    ],
)
def test_a_default_that_is_not_the_references_is_named(
    plugin: Plugin, before: str, after: str, said: str
) -> None:
    assert wrong_defaults(plugin("acme_cohere", COHERE)) == {}
    assert before in COHERE
    offer = plugin("acme_defaults", COHERE.replace(before, after))
    compare(offer)  # a folder that the reference saves states every key
    (found,) = wrong_defaults(offer).values()
    assert re.search(said, found)


@pytest.mark.parametrize("table", ["absent", "spellings"])
def test_a_misspelt_field_of_a_configuration_is_an_error(plugin: Plugin, table: str) -> None:
    wrong = {"absent": "{'rope_thetaa': 1.0}", "spellings": "{'theta': 'rope_thetaa'}"}[table]
    text = COHERE.replace("absent = {", f"{table} = {wrong}\n    other = {{")
    with pytest.raises(TypeError, match=f"Config.{table} has 'rope_thetaa'.*mean 'rope_theta'"):
        random_model(plugin(f"acme_{table}", text.replace("    other", "    _other")))
