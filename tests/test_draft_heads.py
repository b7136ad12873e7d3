"""A model's own layer that guesses a token further: its arithmetic is the published one, and its
guesses change no answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file, save_file
from tramontane import LLM, SamplingParams
from tramontane.engine.draft_head import HeadGuesser
from tramontane.engine.draft_length import DraftLength
from tramontane.errors import TramontaneError

from .drafted import all_answered, asked, same
from .parity import gguf_file, reference
from .parity.families import FAMILIES
from .tiny import SPECIALS, write_model, write_tokenizer

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
EVERY = {
    "deepseek-v3": "", "glm4-moe": "normed-heads", "qwen3.5": "",
    "qwen3-next": "experts", "qwen3.5-moe": "", "glm4-moe-lite": "", "deepseek-v3.2": "",
}  # fmt: skip
SOME = tuple(EVERY)[:3]
LENGTHS = (1, 3, 16)
SETTINGS: dict[str, Any] = {"threads": 1, "kv_tokens": 1024, "max_seqs": 4, "num_ctx": 90}


class Model:
    """A tiny model with such a layer in transformers, and in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        record, vocabulary = FAMILIES[name], 256 + len(SPECIALS)
        self.ours, self.folder = name.startswith("qwen"), folder
        settings = {
            **record.shared, **record.variants[EVERY[name] or next(iter(record.variants))],
            "vocab_size": vocabulary, "eos_token_id": vocabulary - 2, "bos_token_id": None,
            "pad_token_id": None,
        }  # fmt: skip
        self.model = reference.random(record, settings, 5)
        more = {**settings, "num_hidden_layers": settings["num_hidden_layers"] + 1}
        depth = settings["num_hidden_layers"]
        if self.ours:
            kinds = list(self.model.config.layer_types)
            more["layer_types"] = [*kinds, "full_attention"]
        self.layer = reference.random(record, more, 6).model.layers[depth]
        size = self.model.config.hidden_size
        shapes = {"eh": (size, 2 * size), "e": (size,), "h": (size,), "last": (size,)}
        self.given = {key: torch.randn(shape) * 0.2 for key, shape in shapes.items()}
        self.model.save_pretrained(folder)
        write_tokenizer(folder)
        file = folder / "model.safetensors"
        tensors = load_file(file)
        tensors |= self._named(depth, tensors)
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, file, {"format": "pt"})

    def _named(self, depth: int, tensors: dict[str, Any]) -> dict[str, Any]:
        """The head's tensors by the names of checkpoints."""
        parts = dict(self.layer.state_dict())
        parts.pop("mlp.experts.gate_up_proj", None)
        if self.ours:
            names = ("fc", "pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm")
            found = {
                f"mtp.{n}.weight": self.given[k] for n, k in zip(names, self.given, strict=True)
            }
            outer = "mtp.layers.0."
        else:
            outer = f"model.layers.{depth}."
            names = ("eh_proj", "enorm", "hnorm", "shared_head.norm")
            found = {
                f"{outer}{n}.weight": self.given[k] for n, k in zip(names, self.given, strict=True)
            }
            found[f"{outer}embed_tokens.weight"] = tensors["model.embed_tokens.weight"]
            head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
            found[f"{outer}shared_head.head.weight"] = head
        if "mlp.experts.gate_up_proj" in self.layer.state_dict():
            parts["mlp.experts.gate_up_proj"] = self.layer.state_dict()["mlp.experts.gate_up_proj"]
        return found | {f"{outer}{name}": tensor for name, tensor in parts.items()}

    def norm(self, x: Any, weight: Any) -> Any:
        weight = 1 + weight if self.ours else weight
        return weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)

    @property
    def eps(self) -> float:
        return float(self.model.config.rms_norm_eps)

    @torch.inference_mode()
    def guess(self, tokens: list[int], ahead: int) -> Any:
        """Logits of the last of `ahead` tokens, which were guessed behind those that came."""
        came = len(tokens) - ahead
        ids = torch.tensor([tokens])
        states = self.model.model(ids[:, :came]).last_hidden_state[0]
        embedded = self.model.get_input_embeddings()(ids[0])
        x = None
        for step in range(ahead + 1):
            rows = came - 1 + step
            joined = torch.cat(
                (self.norm(embedded[1 : rows + 1], self.given["e"]),
                 self.norm(states[:rows], self.given["h"])), -1,
            )  # fmt: skip
            x = self._layer(joined @ self.given["eh"].T)
            last = self.norm(x[-1:], self.given["last"])
            states = torch.cat((states[:rows], last if self.ours else x[-1:]))
        return self.model.lm_head(last)[0]

    def _layer(self, x: Any) -> Any:
        positions = torch.arange(len(x))[None]
        inner = self.model.model
        mask = torch.full((len(x), len(x)), float("-inf")).triu(1)[None, None]
        found = self.layer(
            x[None], attention_mask=mask, position_ids=positions,
            position_embeddings=inner.rotary_emb(x[None], positions),
        )  # fmt: skip
        return (found[0] if isinstance(found, tuple) else found)[0]


@pytest.fixture(scope="module", params=EVERY if FULL else SOME)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(request.param, tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def plain(model: Model) -> Iterator[LLM]:
    with LLM(model.folder, **SETTINGS) as llm:
        yield llm


def guesses_of(llm: LLM, prompt: list[int], patch: pytest.MonkeyPatch) -> list[Any]:
    """What was guessed from: tokens, how many of them are guesses, logits."""
    found: list[Any] = []
    taken = HeadGuesser._taken

    def noted(self: HeadGuesser, rounds: Any, logits: Any, hidden: Any) -> Any:
        for one, row in zip(rounds, logits, strict=True):
            tokens = [*one.sequence.tokens, *one.found]
            found.append((tokens, len(one.found), np.array(row)))
        return taken(self, rounds, logits, hidden)

    patch.setattr(HeadGuesser, "_taken", noted)
    patch.setattr(DraftLength, "next", lambda self, worth: 3)
    patch.setattr(DraftLength, "seen", lambda self, *counts: None)
    llm.generate(prompt, SamplingParams(max_tokens=12, temperature=0, ignore_eos=True))
    patch.undo()
    return found


def test_its_logits_are_the_published_arithmetics(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = [(7 * i + 3) % 250 for i in range(37)]
    for device in ("cpu", "reference"):
        more = {"batch_size": 16, "activations": "f32", "kv_type": "f32", "device": device}
        with LLM(model.folder, draft="mtp", **SETTINGS, **more) as llm:
            found = guesses_of(llm, prompt, monkeypatch)
        assert len(found) > 12
        for tokens, ahead, row in found:
            expected = model.guess(tokens, ahead).numpy()
            assert np.abs(row - expected).max() < 2e-3 * np.abs(expected).max()


@pytest.mark.parametrize("length", LENGTHS)
def test_random_requests_are_answered_as_without(
    model: Model, plain: LLM, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [asked(1000 * length + each) for each in range(500 if FULL else 10)]
    expected = all_answered(plain, requests)
    monkeypatch.setattr(DraftLength, "next", lambda self, worth: length)
    monkeypatch.setattr(DraftLength, "seen", lambda self, *counts: None)
    with LLM(model.folder, draft="mtp", **SETTINGS) as llm:
        same(requests, all_answered(llm, requests), expected)
        engine = llm.inner.engine
        assert engine.drain(timeout=60)
        assert engine.stats().kv_blocks_used == 0
        assert engine.stats().drafted_tokens > 20


def test_the_step_is_recorded_as_without(model: Model, plain: LLM) -> None:
    with LLM(model.folder, draft="mtp", **SETTINGS) as llm:
        assert llm.report.kernels == plain.report.kernels
        head = llm.inner.engine.drafting.guesser._head  # type: ignore[union-attr]
        steps = [each.forward for each in (head, llm.inner.loaded.model)]
        assert steps[0].why == steps[1].why or steps[1].why is not None


def test_a_prefix_that_is_known_is_guessed_from_where_it_ends(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = [(5 * i + 3) % 250 for i in range(40)]
    more = {"activations": "f32", "kv_type": "f32"}
    with LLM(model.folder, draft="mtp", **SETTINGS, **more) as llm:
        found = [guesses_of(llm, [*prompt, 9], monkeypatch) for _ in range(2)]
    for one, other in zip(*found, strict=False):
        assert one[0] == other[0]
        assert np.abs(one[2] - other[2]).max() < 2e-3 * np.abs(one[2]).max()


def test_files_of_llama_cpp_have_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about, width = FAMILIES["glm4-moe"].gguf, 256
    assert about is not None
    shapes = {"eh_proj": (width, 2 * width), "enorm": (width,), "hnorm": (width,),
              "shared_head.norm": (width,)}  # fmt: skip
    given = {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}

    def convert(tensors: dict[str, Any], config: Any) -> dict[str, Any]:
        more = {f"model.layers.2.{name}.weight": given[name].numpy() for name in given}
        return {**about.convert(tensors, config), **more}

    file = replace(
        about, convert=convert, keys=lambda cfg: {**about.keys(cfg), "nextn_predict_layers": 1}
    )
    path = tmp_path / "model.gguf"
    theirs = gguf_file.pair("glm4-moe", Type.F32, path, file, num_hidden_layers=3)
    model = Model.__new__(Model)
    model.ours, model.model, model.layer = False, theirs, theirs.model.layers[2]
    theirs.model.layers, theirs.config.num_hidden_layers = theirs.model.layers[:2], 2
    model.given = dict(zip(("eh", "e", "h", "last"), given.values(), strict=True))
    with LLM(path, draft="mtp", device="reference", num_ctx=64) as llm:
        found = guesses_of(llm, [5, 6, 7, 8, 9], monkeypatch)
    assert len(found) > 12
    for tokens, ahead, row in found:
        expected = model.guess(tokens, ahead).numpy()
        assert np.abs(row - expected).max() < 2e-3 * np.abs(expected).max()


def test_where_there_is_none(tmp_path: Path) -> None:
    write_model(tmp_path)
    with pytest.raises(TramontaneError, match=r"draft mtp: .* has no layer that guesses further"):
        LLM(tmp_path, draft="mtp", **SETTINGS)
    with pytest.raises(TramontaneError, match="mtp takes max=16 and nothing else"):
        LLM(tmp_path, draft="mtp:n=3", **SETTINGS)
