"""A config.json that cannot be is refused when the model loads: the key, its value, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.config import DecoderConfig, read_config
from tramontane.config.rope_settings import overridden
from tramontane.errors import CheckpointError, ConfigError

from .refusal import load, refusal
from .tiny_folder import CONFIG, write_folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b"\xff\xfe\x00", "is not UTF-8: invalid start byte at byte 0"),
        (b"[]", "should hold a JSON object, not a list"),
        (b'"LlamaForCausalLM"', "should hold a JSON object, not a str"),
        (b"null", "should hold a JSON object"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"a": ' * 100_000, "is nested too deeply"),
        (b'{"vocab_size": 1' + b"0" * 5000 + b"}", "is not JSON"),
    ],
    ids=range(10),
)
def test_not_a_json_object(tmp_path: Path, text: bytes, said: str) -> None:
    write_folder(tmp_path)
    (tmp_path / "config.json").write_bytes(text)
    told = refusal(tmp_path, CheckpointError)
    assert "config.json" in told
    assert said in told


@pytest.mark.parametrize(
    "names", [None, [], "LlamaForCausalLM", [5], {}, [None], "x" * 100_000, [["a"] * 1000]],
    ids=range(8),
)  # fmt: skip
def test_no_architecture(tmp_path: Path, names: Any) -> None:
    write_folder(tmp_path, {**CONFIG, "architectures": names})
    said = refusal(tmp_path, CheckpointError)
    assert "'architectures' must name the model's class" in said
    assert '["NameForCausalLM"]' in said


COUNTS = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
]
DEEP: Any = json.loads("[" * 500 + "]" * 500)


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize(
    "value", [0, -1, 2**62, 10**4000, 1e30, 1.5, "16", "many", True, [16], {}, DEEP, "x" * 100_000],
    ids=range(13),
)  # fmt: skip
def test_counts(tmp_path: Path, field: str, value: Any) -> None:
    write_folder(tmp_path, {**CONFIG, field: value})
    assert field in refusal(tmp_path, ConfigError)


@pytest.mark.parametrize("field", ["rms_norm_eps", "rope_theta", "partial_rotary_factor"])
@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), "1e-5", "x", [1.0], True])
def test_numbers(tmp_path: Path, field: str, value: Any) -> None:
    write_folder(tmp_path, {**CONFIG, field: value})
    assert f"{field}={value!r}" in refusal(tmp_path, ConfigError)


@pytest.mark.parametrize("field", COUNTS[:5])
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "null"])
def test_what_must_be_there(tmp_path: Path, field: str, absent: bool) -> None:
    config = {**CONFIG, field: None}
    if absent:
        del config[field]
    assert f"{field} is missing" in refusal(write_folder(tmp_path, config), ConfigError)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act='gelu': Input should be 'silu'"),
        ({"attention_bias": "perhaps"}, "attention_bias='perhaps'"),
        ({"num_attention_heads": 3}, "hidden_size 16 is not a multiple of num_attention_heads 3"),
        ({"num_key_value_heads": 3}, "num_attention_heads 2 is not a multiple of num_key_value"),
        ({"head_dim": 7}, "rotary embedding turns pairs"),
        ({"partial_rotary_factor": 0.1}, "rotary embedding turns pairs"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    assert said in refusal(write_folder(tmp_path, {**CONFIG, **change}), ConfigError)


LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0] * 4}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip


@pytest.mark.parametrize("good", [LONG, LLAMA3, {"rope_type": "default"}, {"type": "default"}, {}])
def test_rope_scalings_that_are_fine(tmp_path: Path, good: dict[str, Any]) -> None:
    load(write_folder(tmp_path, {**CONFIG, "rope_scaling": good}))


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ({"rope_type": "spiral", "factor": 2.0}, "spiral"),
        ({"type": "spiral"}, "spiral"),
        ({"factor": 2.0}, "rope_type"),
        ({"rope_type": 5}, "rope_type"),
        ({"rope_type": ["linear"], "factor": 2.0}, "rope_type"),
        ({"rope_type": "linear"}, "factor is missing"),
        ({"rope_type": "linear", "factor": 0}, "factor=0"),
        ({"rope_type": "linear", "factor": -2.0}, "factor=-2.0"),
        ({"rope_type": "linear", "factor": "2"}, "factor='2'"),
        ({"rope_type": "linear", "factor": float("inf")}, "factor=inf"),
        ({"rope_type": "yarn", "factor": 0.5}, "factor=0.5"),
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": -1},
         "original_max_position_embeddings=-1"),
        ({"rope_type": "yarn", "factor": 2.0, "beta_fast": 0}, "beta_fast=0"),
        ({**LLAMA3, "low_freq_factor": 0}, "low_freq_factor=0"),
        ({**LONG, "short_factor": [1.0] * 3}, "rope_scaling has 3 factors for 4 frequencies"),
        ({**LONG, "long_factor": [1.0] * 5}, "rope_scaling has 5 factors for 4 frequencies"),
        ({**LONG, "short_factor": []}, "rope_scaling has 0 factors for 4 frequencies"),
        ({**LONG, "short_factor": [1.0, 1.0, 0.0, 1.0]}, "gives no usable frequencies"),
        ({**LONG, "short_factor": [1.0, -1.0, 1.0, 1.0]}, "gives no usable frequencies"),
        ({**LONG, "long_factor": [1.0, float("nan"), 1.0, 1.0]}, "long_factor"),
        ({**LONG, "long_factor": "1111"}, "long_factor"),
        ({**LONG, "original_max_position_embeddings": 1}, "gives no usable frequencies"),
    ],
)  # fmt: skip
def test_rope_scalings(tmp_path: Path, key: str, scaling: Any, said: str) -> None:
    assert said in refusal(write_folder(tmp_path, {**CONFIG, key: scaling}), ConfigError)


@pytest.mark.parametrize("scaling", ["linear", 2.0, [], [["linear", 2.0]]])
def test_a_rope_scaling_that_is_no_object(tmp_path: Path, scaling: Any) -> None:
    said = refusal(write_folder(tmp_path, {**CONFIG, "rope_scaling": scaling}), ConfigError)
    assert "rope_scaling" in said


def test_dynamic_scaling_of_a_single_pair(tmp_path: Path) -> None:
    scaling = {"rope_type": "dynamic", "factor": 2.0}
    config = {**CONFIG, "head_dim": 2, "rope_scaling": scaling}
    assert "gives no usable frequencies" in refusal(write_folder(tmp_path, config), ConfigError)


def test_overrides_are_held_to_the_same(tmp_path: Path) -> None:
    said = refusal(write_folder(tmp_path), ConfigError, overrides={"rope_theta": -5.0})
    assert "rope_theta=-5.0" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "f64"}, "dtype should be one of auto, f32, bf16, f16, not 'f64'"),
        ({"device": "toaster"}, "there is no device 'toaster'"),
        ({"num_ctx": 0}, "num_ctx should be a whole number from 1 on, or None, not 0"),
        ({"num_ctx": -5}, "num_ctx should be a whole number from 1 on, or None, not -5"),
    ],
)
def test_options(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    assert said in refusal(write_folder(tmp_path), **options)


YARN = {"rope_type": "yarn", "factor": 2.0}


@pytest.mark.parametrize(
    ("settings", "theta"),
    [
        ({}, 1e4),
        ({"rope_theta": 5e5}, 5e5),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, 5e5),
        ({"rope_theta": 1e3, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, 5e5),
        ({"rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}}, 5e5),
        ({"rope_theta": 1e3, "rope_scaling": {**YARN, "rope_theta": 5e5}}, 5e5),
        ({"rope_theta": 5e5, "rope_scaling": YARN, "rope_parameters": YARN}, 5e5),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "yarn", "factor": 2.0},
          "rope_parameters": {**YARN, "rope_theta": 5e5}}, 5e5),
    ],
)  # fmt: skip
def test_where_the_base_of_rotations_is_read(settings: dict[str, Any], theta: float) -> None:
    config = read_config(DecoderConfig, {**CONFIG, **settings})
    assert config.rope_theta == theta
    assert (config.rope_scaling is None) == ("yarn" not in str(settings))


@pytest.mark.parametrize(
    "parameters", [{"rope_type": "default", "rope_theta": 1e6}, {**YARN, "factor": 4.0}]
)
def test_rotary_settings_that_contradict_each_other(parameters: dict[str, Any]) -> None:
    both = {**CONFIG, "rope_scaling": YARN, "rope_parameters": parameters}
    with pytest.raises(ConfigError, match=r"rope_scaling and rope_parameters differ: .*leave"):
        read_config(DecoderConfig, both)


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_the_length_beside_goes_before_the_one_inside(key: str) -> None:
    scaling = {**YARN, "original_max_position_embeddings": 8}
    said = {**CONFIG, key: scaling}
    inside = read_config(DecoderConfig, said).rope_scaling
    beside = read_config(DecoderConfig, {**said, "original_max_position_embeddings": 16})
    assert inside is not None
    assert beside.rope_scaling is not None
    lengths = [each.original_max_position_embeddings for each in (inside, beside.rope_scaling)]
    assert lengths == [8, 16]


@pytest.mark.parametrize(
    ("changes", "theta", "kind"),
    [
        ({"rope_theta": 7e3}, 7e3, "yarn"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, 5e5, "linear"),
    ],
)
@pytest.mark.parametrize(
    "rope",
    [
        {"rope_parameters": {**YARN, "rope_theta": 5e5}},
        {"rope_theta": 5e5, "rope_scaling": YARN},
    ],
)
def test_overrides_reach_settings_wherever_they_stand(
    rope: dict[str, Any], changes: dict[str, Any], theta: float, kind: str
) -> None:
    config = read_config(DecoderConfig, overridden({**CONFIG, **rope}, changes))
    assert config.rope_scaling is not None
    assert (config.rope_theta, config.rope_scaling.rope_type) == (theta, kind)


def test_a_refused_configuration_is_named_with_its_checkpoint(tmp_path: Path) -> None:
    write_folder(tmp_path, {**CONFIG, "hidden_act": "no_such_activation"})
    said = refusal(tmp_path, ConfigError)
    assert said.startswith(f"{tmp_path}: {CONFIG['architectures'][0]}: unsupported configuration: ")


@pytest.mark.parametrize(
    "table", [{"absent": {"rope_thetaa": 1.0}}, {"spellings": {"base": "rope_thetaa"}}], ids=list
)
def test_a_misspelt_field_of_a_class_is_an_error(table: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="'rope_thetaa', which is no field; did you mean 'rope_the"):
        type("Misspelt", (DecoderConfig,), {"__module__": __name__, **table})
