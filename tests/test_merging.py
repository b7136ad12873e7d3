"""Adapters merged into weights: packed ones to the very bits of quantize(decode + add), tied ones
as the adapters beside them compute, and no trace of them in what runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM
from tramontane.adapters.forms import read_adapter
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import AdapterError, RequestError
from tramontane.quantizing.kinds import installed_kinds
from tramontane.quantizing.make_layer import make_layout
from tramontane.registry import Registry
from tramontane_quant_gguf.writer import write_gguf

from .conftest import Cli
from .parity import reference
from .test_adapters import PROMPT, adapter, shapes, written
from .test_gguf_types import EXPERTS, HIDDEN, VOCABULARY, decoded, metadata, tensors

EXACT: dict[str, Any] = {"dtype": "f32", "activations": "f32", "kv_type": "f32", "num_ctx": 128}
MATRICES = ("self_attn.q_proj", "mlp.down_proj")


def loaded(path: Path, **options: Any) -> Loaded:
    registry = Registry.from_environment()
    chosen = LoadOptions(device="reference", num_ctx=64, activations="f32", **options)
    return load_model(open_checkpoint(path, registry), registry, chosen)


def weight(model: Loaded, path: str) -> Any:
    return model.model.get_submodule(path).weight


def same_bits(one: Any, other: Any) -> bool:
    a, b = one.tensors(), other.tensors()
    return one.kind == other.kind and all(
        a[name].numpy().tobytes() == b[name].numpy().tobytes() for name in a
    )


def pairs(of: Mapping[str, tuple[int, int]], **more: torch.Tensor) -> dict[str, torch.Tensor]:
    generator, found = torch.Generator().manual_seed(0), dict(more)
    for path, (rows, columns) in of.items():
        name = f"base_model.model.{path}"
        first = torch.randn(4, columns, generator=generator) / 16
        second = torch.randn(rows, 4, generator=generator) / 16
        names = ("lora_A.weight", "lora_B.weight")
        if path.endswith("embed_tokens"):
            names = ("lora_embedding_A", "lora_embedding_B")
            first, second = torch.randn(4, rows) / 16, torch.randn(columns, 4) / 16
        found |= {f"{name}.{names[0]}": first, f"{name}.{names[1]}": second}
    return found


def added(folder: Path, name: str) -> torch.Tensor:
    return (
        read_adapter(folder, Registry.from_environment()).deltas[f"{name}.weight"].matrix.decode()
    )


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0"])
def test_packed_matrices_are_quantized_again(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = write_gguf(tmp_path / "m.gguf", metadata(), tensors(kind))
    square = (HIDDEN, HIDDEN)
    names = [f"model.layers.0.{name}" for name in MATRICES]
    of = {**dict.fromkeys(names, square), "lm_head": (VOCABULARY, HIDDEN)}
    folder = written(tmp_path / "a", pairs(of))
    caplog.set_level("INFO")
    plain, merged = loaded(model), loaded(model, merge={"a": (folder, 0.5)})
    (made,) = [k for k in installed_kinds(Registry()).values() if k.name == kind.lower()]
    for name in of:
        expected = weight(plain, name).decode() + 0.5 * added(folder, name)
        assert same_bits(weight(merged, name), make_layout(made, expected)), name
    other = "model.layers.0.mlp.up_proj"
    assert same_bits(weight(plain, other), weight(merged, other))
    said = "merged a: 3 tensors changed, of which 3 packed layers were quantized again"
    assert merged.report.merged[0].startswith(said)
    assert said in caplog.text
    assert merged.sample.tolist() != plain.sample.flatten().tolist(), "another model's sessions"


def test_experts_are_merged_each(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "m.gguf", metadata(experts=True), tensors("Q8_0", experts=True))
    one = {f"model.layers.0.mlp.experts.{n}.down_proj": (HIDDEN, HIDDEN) for n in (0, 2)}
    folder = written(tmp_path / "a", pairs(one))
    plain, merged = loaded(model), loaded(model, merge={"a": (folder, 1.0)})
    (path,) = [p for p, m in plain.model.named_modules() if p.endswith("down_proj")]
    before, after = weight(plain, path).decode(), weight(merged, path).decode()
    for expert in range(EXPERTS):
        rows = slice(expert * HIDDEN, (expert + 1) * HIDDEN)
        name = f"model.layers.0.mlp.experts.{expert}.down_proj"
        expected = before[rows] + (added(folder, name) if name in one else 0)
        assert (after[rows] - expected).abs().max() < 0.02 * expected.abs().max()
        assert torch.equal(after[rows], before[rows]) == (name not in one)


def test_quantizing_comes_after_merging(tmp_path: Path) -> None:
    packed = write_gguf(tmp_path / "p.gguf", metadata(), tensors("Q8_0"))
    model = decoded(packed, tmp_path / "m.gguf", experts=False)
    name = f"model.layers.0.{MATRICES[0]}"
    folder = written(tmp_path / "a", pairs({name: (HIDDEN, HIDDEN)}))
    merged = loaded(model, merge={"a": (folder, 1.0)}, isq="q8_0")
    (kind,) = [k for k in installed_kinds(Registry()).values() if k.name == "q8_0"]
    expected = weight(loaded(model), name).decode() + added(folder, name)
    assert same_bits(weight(merged, name), make_layout(kind, expected))
    assert "again" not in merged.report.merged[0]


@pytest.mark.parametrize("changes", ["head", "embedding", "both", "rows", "whole head"])
def test_tied_matrices_become_two_where_they_must(changes: str, tmp_path: Path) -> None:
    reference.make("llama", "tied", tmp_path / "m")
    model = tmp_path / "m"
    table = tuple(weight(loaded(model), "model.embed_tokens").shape)
    of, more, config = {}, {}, {}
    if changes in ("head", "both"):
        of["lm_head"] = table
    if changes in ("embedding", "both"):
        of["model.embed_tokens"] = table
    if changes == "rows":
        name = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
        more[name], config["trainable_token_indices"] = torch.ones(2, table[1]), [3, 5]
    if changes == "whole head":
        more["base_model.model.lm_head.modules_to_save.weight"] = torch.randn(table) / 8
    folder = written(tmp_path / "a", pairs(of, **more), **config)
    options = {**EXACT, "device": "cpu", "num_ctx": 64}
    with LLM(model, adapters={"a": folder}, **options) as llm:
        applied = llm.inner.adapters.applied("a")
        request = llm.inner.logits_request(PROMPT[:20])
        request = type(request)(**{**vars(request), "adapters": applied})
        beside = llm._results([request])[0].prompt_logits
        assert beside is not None
    with LLM(model, adapters={"a": folder}, merge_adapters=True, **options) as llm:
        inner = llm.inner.loaded.model
        assert (inner.lm_head.weight is inner.model.embed_tokens.weight) == (changes == "rows")
        found = llm.logits(PROMPT[:20])
        assert ("no longer the embedding" in llm.report.merged[0]) == (changes != "rows")
    assert np.abs(found - beside).max() < 1e-5 * np.abs(beside).max()


@pytest.mark.parametrize("changed", ["lm_head", "model.embed_tokens"])
def test_of_a_packed_tied_matrix_one_keeps_its_bits(changed: str, tmp_path: Path) -> None:
    made = [each for each in tensors("Q8_0") if each.name != "output.weight"]
    model = write_gguf(tmp_path / "m.gguf", metadata(), made)
    folder = written(tmp_path / "a", pairs({changed: (VOCABULARY, HIDDEN)}))
    plain, merged = loaded(model), loaded(model, merge={"a": (folder, 1.0)})
    kept = "model.embed_tokens" if changed == "lm_head" else "lm_head"
    before = weight(plain, "model.embed_tokens")
    assert same_bits(weight(merged, kept), before)
    (kind,) = [k for k in installed_kinds(Registry()).values() if k.name == "q8_0"]
    expected = before.decode() + added(folder, changed)
    assert same_bits(weight(merged, changed), make_layout(kind, expected))
    both = loaded(model, merge={"a": (folder, 1.0)}, isq="q4_0")
    assert weight(both, kept).kind == weight(both, changed).kind != weight(plain, kept).kind


def test_a_merged_model_runs_like_one_without(tmp_path: Path) -> None:
    reference.make("llama", "grouped", tmp_path / "m")
    options = {**EXACT, "device": "cpu"}
    with LLM(tmp_path / "m", **options) as llm:
        kernels, of = llm.report.kernels, shapes(llm)
    folders = {name: adapter(tmp_path / name, seed, of) for seed, name in enumerate("ab")}
    given = {"a": folders["a"], "b": (folders["b"], -0.5)}
    with LLM(tmp_path / "m", adapters=given, **options) as llm:
        expected = llm.generate(PROMPT, adapter="a,b", max_tokens=8, logprobs=True)
    with LLM(tmp_path / "m", adapters=given, merge_adapters=True, **options) as llm:
        assert llm.report.kernels == kernels
        assert "eager" not in llm.report.kernels["step"]
        (request,) = llm.inner.requests(tuple(PROMPT), None)
        assert request.adapters is None
        found = llm.generate(PROMPT, max_tokens=8, logprobs=True)
        assert found.token_ids == expected.token_ids
        pairs_of = zip(found.logprobs or (), expected.logprobs or (), strict=True)
        assert all(abs(one.logprob - other.logprob) < 1e-4 for one, other in pairs_of)
        llm.load_adapter("later", folders["b"])  # others go beside it
        assert llm.generate(PROMPT, adapter="later", max_tokens=1).token_ids


def test_dtypes_stay(tmp_path: Path) -> None:
    reference.make("llama", "grouped", tmp_path / "m")
    model = tmp_path / "m"
    with LLM(model, device="reference") as llm:
        folder = adapter(tmp_path / "a", 0, shapes(llm))
    for dtype, kind in (("bf16", torch.bfloat16), ("auto", torch.float32)):
        merged = loaded(model, merge={"a": (folder, 1.0)}, dtype=dtype)
        assert weight(merged, "model.layers.0.mlp.down_proj").data.dtype == kind


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    reference.make("llama", "grouped", tmp_path / "m")
    model = tmp_path / "m"
    size = len(loaded(model).model.model.norm.weight)
    norm = {"base_model.model.model.norm.weight": torch.ones(size)}
    one, other = (written(tmp_path / name, norm) for name in "ab")
    with pytest.raises(AdapterError, match=r"several of the adapters replace model.norm.weight"):
        loaded(model, merge={"a": (one, 1.0), "b": (other, 1.0)})
    with pytest.raises(AdapterError, match=r"its adapter's weight is 1, not 0.5"):
        loaded(model, merge={"a": (one, 0.5)})
    name = f"model.layers.0.{MATRICES[0]}"
    rows, columns = weight(loaded(model), name).shape
    bias = {f"base_model.model.{name}.lora_B.bias": torch.ones(rows)}
    with pytest.raises(AdapterError, match=r"which has none of its own: it cannot be merged; load"):
        loaded(model, merge={
            "a": (written(tmp_path / "c", pairs({name: (rows, columns)}, **bias)), 1.0)
        })  # fmt: skip
    packed = write_gguf(tmp_path / "m.gguf", metadata(), tensors("Q1_0"))
    folder = written(tmp_path / "d", pairs({name: (HIDDEN, HIDDEN)}))
    with pytest.raises(AdapterError, match=r"is stored as Q1_0 .* nothing installed writes: quant"):
        loaded(packed, merge={"a": (folder, 1.0)})
    assert loaded(packed, merge={"a": (folder, 1.0)}, isq="q8_0").report.merged
    with pytest.raises(RequestError, match="merge_adapters merges those of adapters, and there"):
        LLM(model, merge_adapters=True)
    with pytest.raises(RequestError, match="is no name for an adapter"):
        loaded(model, merge={"a b": (one, 1.0)})


def test_the_command(run: Cli, tmp_path: Path) -> None:
    with LLM(device="reference") as llm:
        folder = adapter(tmp_path / "tales", 0, shapes(llm))
    asked = ("run", "--lora", f"tales={folder}:0.5", "-i", "Hello", "-n", "4", "--temperature", "0")
    status, out, err = run(*asked, "--lora-merge")
    assert status == 0
    assert "merged tales: " in err
    assert out == run(*asked, "--lora-merge", "-q")[1]
    status, _, err = run(*asked, "--lora-merge", "--adapter", "tales")
    assert status == 2
    assert "--adapter tales has nothing to choose: --lora-merge makes all of --lora part" in err
    status, _, err = run("run", "--lora-merge", "-i", "Hello")
    assert status == 2
    assert "--lora-merge merges what --lora names" in err
