"""Quantizing in place, with a third party's quantizer: the one of docs/writing-a-quantizer.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import PluginNotInstalled, RequestError, UsageError
from tramontane.layouts import Affine, Dense
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole

from .conftest import Cli, Install
from .strangers.page import write_page
from .test_quantized_layers import others
from .tiny import write_model

TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
KIND = "acme_mlx4"


@pytest.fixture(scope="module")
def installed(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page")
    write_page("writing-a-quantizer", page)
    return install(page / "mlx")


@pytest.fixture(autouse=True)
def visible(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This repository's own formats are not: a number of bits would choose their kinds."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(others()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder, hidden_size=128, intermediate_size=192, dtype=torch.bfloat16)
    return folder


def loaded(folder: Path, device: str = "reference", **options: Any) -> Loaded:
    registry = Registry.from_environment()
    chosen = LoadOptions(device=device, dtype="f32", activations="f32", **options)
    return load_model(open_checkpoint(folder, registry), registry, chosen)


def weights(model: Loaded) -> dict[str, Any]:
    return {
        path: module.weight
        for path, module in model.model.named_modules()
        if hasattr(module, "kernel") and hasattr(module, "weight")
    }


def test_every_matrix_becomes_the_kind(model: Path) -> None:
    found = weights(loaded(model, isq=KIND))
    bits = {path: weight.bits for path, weight in found.items() if isinstance(weight, Affine)}
    assert bits.pop("model.embed_tokens") == 6
    assert bits.pop("lm_head") == 6
    assert set(bits.values()) == {4}
    assert len(bits) == 14


def test_numbers_are_those_of_the_format(model: Path) -> None:
    from acme_mlx.encode import encode  # type: ignore[import-not-found]
    from acme_mlx.layers import translate  # type: ignore[import-not-found]

    dense, found = (
        weights(loaded(model, **options))["model.layers.1.mlp.up_proj"]
        for options in ({}, {"isq": 4})
    )
    made = translate(encode(dense.decode(), KIND), {"bits": 4})
    assert torch.equal(found.decode(), made.decode())


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_it_answers_as_the_decoded_weights_do(model: Path, device: str) -> None:
    found = loaded(model, device, isq=4)
    plain = loaded(model)
    decoded = weights(loaded(model, isq=4))
    for path, module in plain.model.named_modules():
        if path in decoded:
            module.weight = Dense(decoded[path].decode())
    assert torch.allclose(
        whole(found.model, TOKENS), whole(plain.model, TOKENS), atol=2e-3, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("asked", "usual", "more"), [(2, 2, 6), (3, 3, 6), (5, 6, 8), (7, 8, 8), (8, 8, 8)]
)
def test_a_number_of_bits_chooses_a_kind(model: Path, asked: int, usual: int, more: int) -> None:
    found = weights(loaded(model, isq=asked))
    assert found["model.layers.0.mlp.down_proj"].bits == usual
    assert found["lm_head"].bits == more


def test_the_report_says_what_was_chosen(model: Path) -> None:
    report = loaded(model, isq="ACME-MLX4").report.quantized
    assert report is not None
    assert report.asked == "ACME-MLX4"
    assert report.kinds == {KIND: 14, "acme_mlx6": 2}
    assert report.promoted == dict.fromkeys(
        ["model.embed_tokens.weight", "lm_head.weight"], "acme_mlx6"
    )
    assert report.left == {}
    assert report.bytes == 2 * 258 * 128 * 6.5 / 8 + 2 * (3 * 128 * 192 + 3 * 128 * 128) * 4.5 / 8
    first, *others = report.lines()
    assert first == "quantized to ACME-MLX4: 2 x acme_mlx6, 14 x acme_mlx4, 192 KB"
    assert others[0] == "  model.embed_tokens.weight: acme_mlx6, as errors there cost most"


def test_columns_that_fit_no_kind_stay(tmp_path: Path) -> None:
    write_model(tmp_path, hidden_size=128, intermediate_size=80)
    found = loaded(tmp_path, isq=4)
    assert found.report.quantized is not None
    down = [f"model.layers.{i}.mlp.down_proj.weight" for i in range(2)]
    assert found.report.quantized.left == dict.fromkeys(down, f"80 columns do not fit {KIND}")
    assert weights(found)["model.layers.0.mlp.down_proj"].kind == "float32"


def test_it_is_told_that_nothing_became_smaller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path, hidden_size=40, intermediate_size=72)
    loaded(tmp_path, isq=4)
    assert "quantized to 4: nothing, 0 B" in caplog.text
    assert "40 columns do not fit acme_mlx4" in caplog.text


def test_the_plan_counts_what_the_result_takes(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tramontane.checkpoint import load

    planned = []
    monkeypatch.setattr(load, "plan", lambda header, *_: planned.append(header) or 64)
    for options in ({}, {"isq": 4}):
        loaded(model, **options)
    plain, small = (
        sum(info.nbytes for name, info in header.tensors.items() if "norm" not in name)
        for header in planned
    )
    assert plain == 2 * (2 * 258 * 128 + 2 * (3 * 128 * 192 + 3 * 128 * 128))
    assert small == pytest.approx(191_904, rel=0.01)


def test_what_is_quantized_already_is_quantized_again(
    model: Path, tmp_path: Path, run: Cli
) -> None:
    first = loaded(model, isq=8)
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "8")
    assert status == 0, err
    again = loaded(tmp_path / "out", isq=3)
    assert weights(again)["model.layers.0.mlp.up_proj"].bits == 3
    assert weights(first)["model.layers.0.mlp.up_proj"].bits == 8


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0-1: {isq: 2}\n", {"0": 2, "1": 4}),
        ("1: {isq: acme_mlx8}\n'/lm_head/': {isq: 3}\n", {"0": 4, "1": 8, "lm_head": 3}),
        ("0-2: {isq: 2}\n1-2: {isq: 3}\n", {"0": 2, "1": 3}),
        (
            "'/layers.0/': {isq: 2}\n'/up/': {isq: 8}\n0-2: {isq: 3, device: reference}",
            {"0": 8, "1": 8},
        ),
    ],
)
def test_a_topology_says_otherwise(
    model: Path, tmp_path: Path, text: str, bits: dict[str, int]
) -> None:
    (tmp_path / "topology.yaml").write_text(text)
    found = weights(loaded(model, isq=4, topology=tmp_path / "topology.yaml"))
    for key, count in bits.items():
        path = key if key == "lm_head" else f"model.layers.{key}.mlp.up_proj"
        assert found[path].bits == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0-2: {isq: 4, device: 'tpu[0]'}", "device tpu:0: "),
        ("0-8: {isq: 4, device: cpu}", "the model has 2 layers"),
        ("8-8: {isq: 4}", "8-8 has no layers"),
        ("all: {isq: 4}", "'all' is no layer"),
        ("0: {isq: 4, kind: 2}", "unknown key kind"),
        ("0: 4", "isq or device are wanted"),
        ("0: {device: '0'}", "is not cpu, cuda[N] or metal[N]"),
        ("'/(/': {isq: 4}", "is no regular expression"),
        ("- 4", "layers to their settings are wanted"),
        ("0: {", "is not YAML"),
    ],
)
def test_a_wrong_topology_is_refused(model: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "topology.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"topology\.yaml") as caught:
        loaded(model, topology=tmp_path / "topology.yaml")
    assert said in str(caught.value)


def test_a_topology_alone_quantizes_what_it_names(model: Path, tmp_path: Path) -> None:
    (tmp_path / "topology.yaml").write_text("0: {isq: 4}")
    found = loaded(model, topology=tmp_path / "topology.yaml").report.quantized
    assert found is not None
    assert found.kinds == {KIND: 7}


def test_unknown_kinds_are_told_with_those_that_there_are(model: Path) -> None:
    with pytest.raises(PluginNotInstalled) as caught:
        loaded(model, isq="q9_k")
    assert "nothing installed quantizes to 'q9_k'" in str(caught.value)
    assert f"acme_mlx3, {KIND}, acme_mlx6, acme_mlx8 (acme-tramontane-mlx)" in str(caught.value)
    with pytest.raises(PluginNotInstalled, match=f"did you mean {KIND}"):
        loaded(model, isq="acme_mlx44")


def test_a_number_out_of_range_is_refused(model: Path) -> None:
    with pytest.raises(RequestError, match=r"isq should be a kind such as .*, or 2 to 8 bits"):
        loaded(model, isq=9)
    with pytest.raises(PluginNotInstalled, match="9 bits are not 2 to 8"):
        loaded(model, isq="9")


def test_moqe_needs_experts(model: Path) -> None:
    with pytest.raises(UsageError, match="this model has none"):
        loaded(model, isq=4, isq_organization="moqe")


@pytest.fixture
def experts(tmp_path: Path) -> Path:
    """A mixture of 4 experts of 64 rows each."""
    from transformers import AutoModelForCausalLM, MixtralConfig

    config = MixtralConfig(
        vocab_size=258, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=4, num_experts_per_tok=2,
        max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).eval().save_pretrained(tmp_path / "moe")
    return tmp_path / "moe"


@pytest.mark.parametrize("organization", ["default", "moqe"])
def test_experts_are_quantized_and_routers_stay(experts: Path, organization: str) -> None:
    found = loaded(experts, isq=4, isq_organization=organization)
    bits = {p: getattr(weight, "bits", 0) for p, weight in weights(found).items()}
    layer = "model.layers.0"
    router = next(path for path in bits if path.endswith("gate"))
    assert bits.pop(router) == 0
    for name in ("gate_proj", "up_proj", "down_proj"):
        assert bits.pop(next(p for p in bits if p.endswith(f"experts.{name}"))) == 4
    assert bits.pop(f"{layer}.self_attn.q_proj") == (4 if organization == "default" else 0)
    report = found.report.quantized
    assert report is not None
    assert report.left[f"{router}.weight"] == "routes"


def test_a_kind_of_two_makers_is_named_with_its_maker(
    model: Path, install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_page("writing-a-quantizer", tmp_path, {"acme": "other"})
    plugin = tmp_path / "mlx" / "other_mlx" / "plugin.py"
    plugin.write_text(plugin.read_text().replace("other_mlx{bits}", "acme_mlx{bits}"))
    monkeypatch.syspath_prepend(str(install(tmp_path / "mlx")))
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(others()))
    with pytest.raises(UsageError, match="give acme-mlx:acme_mlx4 or other-mlx:acme_mlx4"):
        loaded(model, isq="acme_mlx4")
    report = loaded(model, isq="acme-mlx:acme_mlx4").report.quantized
    assert report is not None
    assert sum(report.kinds.values()) == 16


def test_the_command_line_says_it(model: Path, run: Cli) -> None:
    device = ("--device", "reference", "--isq", "4")
    status, out, err = run("run", model, "-i", "a", "-n", "2", "-v", *device)
    assert status == 0, err
    assert f"quantized to 4: 2 x acme_mlx6, 14 x {KIND}, 192 KB" in err
    status, out, _ = run("inspect", model, *device)
    assert "quantized to 4 " in out
    assert f" 2 x acme_mlx6, 14 x {KIND}, 192 KB; model.embed_tokens.weight: acme_mlx6" in out
    status, out, _ = run("inspect", model, "--json", *device)
    assert json.loads(out)["quantized"]["kinds"] == {"acme_mlx6": 2, KIND: 14}
    status, _, err = run("run", model, "-i", "a", "--isq", "q4_zero")
    assert (status, "the kinds are" in err) == (1, True)


def test_tune_shows_what_fits(
    model: Path, run: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tramontane.cli.memory_speed.bandwidth", lambda threads: 1e9)
    line = ("tune", model, "--device", "reference", "--emit-config", tmp_path / "serve.toml")
    status, out, err = run(*line, "--json")
    assert status == 0, err
    found = {each["name"]: each for each in json.loads(out)["candidates"]}
    assert list(found) == ["as it is", "acme_mlx8", "acme_mlx6", KIND, "acme_mlx3", "acme_mlx2"]
    assert found[KIND]["bytes"] == pytest.approx(191_904 + 5 * 128 * 2, abs=200)
    assert found["acme_mlx6"]["recommended"]
    assert found["acme_mlx6"]["context"] == 256
    read = 258 * 128 * 6.5 / 8 + 2 * 3 * 128 * (128 + 192) * 4.5 / 8
    assert found[KIND]["tokens_per_second"] == pytest.approx(1e9 / read, rel=0.02)
    assert [each["quality"] for each in found.values()] == [
        "baseline", "near-lossless", "good", "acceptable", "degraded", "degraded",
    ]  # fmt: skip
    assert 'isq = "6"' in (tmp_path / "serve.toml").read_text()
    status, out, _ = run(*line, "--profile", "fast")
    assert (status, "* acme_mlx4" in out) == (0, True)
    assert out.endswith("* recommended: --isq 4\n")
