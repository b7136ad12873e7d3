"""Metadata in the words of config.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import CheckpointError, ConfigError
from tramontane_quant_gguf.config import ABSENT as WITHOUT
from tramontane_quant_gguf.config import PRESENT
from tramontane_quant_gguf.container import open_gguf
from tramontane_quant_gguf.rope import partial_rotary

Write = Callable[..., Path]
ARCH = "llama"


def basics(writer: gguf.GGUFWriter) -> None:
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_context_length(256)
    writer.add_vocab_size(32)


def config(write: Write, *fills: Callable[[gguf.GGUFWriter], None]) -> dict[str, Any]:
    def fill(writer: gguf.GGUFWriter) -> None:
        for one in (basics, *fills):
            one(writer)

    return dict(open_gguf(write(fill)).header.config)


ABSENT = dict.fromkeys((*PRESENT, *WITHOUT, "lm_head_bias"), False)


ASSUMED = {"unsupported": [], "head_dim": 16, "rope_theta": 10_000.0, "partial_rotary_factor": 1.0}
"""What a missing key means in llama.cpp, whatever the architecture."""


def test_basics_are_translated_and_missing_keys_mean_what_they_do_elsewhere(write: Write) -> None:
    assert config(write) == {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "vocab_size": 32,
        "model_type": ARCH,
        "tie_word_embeddings": True,
        "layers_with_experts": [False, False],
        **ASSUMED,
        **ABSENT,
    }


def test_tensors_say_what_no_key_does(write: Write) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        for name in ("blk.0.attn_qkv.bias", "output.bias", "blk.0.attn_norm_2.weight"):
            w.add_tensor(name, np.zeros(64, np.float32))

    got = config(write, fill)
    said = {word for word in ABSENT if got[word]}
    assert said == {"attention_bias", "qkv_bias", "lm_head_bias", "second_norm"}


def test_experts_make_another_model_of_a_name(write: Write) -> None:
    plain = open_gguf(write(basics))
    experts = open_gguf(write(lambda w: (basics(w), w.add_expert_count(8))))
    assert (plain.header.architecture, experts.header.architecture) == ("llama", "mixtral")


def test_the_rest_is_translated(write: Write) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        w.add_head_count_kv(2)
        w.add_key_length(32)
        w.add_rope_freq_base(5e5)
        w.add_layer_norm_rms_eps(0.5)
        w.add_layer_norm_eps(0.25)
        w.add_sliding_window(16)
        w.add_rope_dimension_count(8)
        w.add_expert_count(8)
        w.add_expert_used_count(2)
        w.add_bos_token_id(1)
        w.add_eos_token_id(2**32 - 1)
        w.add_tensor("output.weight", np.zeros((32, 64), np.float32))

    got = config(write, fill)
    plain = config(write)
    assert {key: value for key, value in got.items() if value != plain.get(key)} == {
        "num_key_value_heads": 2,
        "head_dim": 32,
        "rope_theta": 5e5,
        "rms_norm_eps": 0.5,
        "layer_norm_eps": 0.25,
        "sliding_window": 16,
        "partial_rotary_factor": 0.25,
        "qk_rope_head_dim": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "bos_token_id": 1,
        "tie_word_embeddings": False,
    }


def of(write: Write, arch: str, keys: dict[str, Any]) -> dict[str, Any]:
    """The configuration of an architecture's file with these keys beside the basic ones."""

    def fill(w: gguf.GGUFWriter) -> None:
        basics(w)
        for key, value in keys.items():
            if isinstance(value, list):
                w.add_array(f"{arch}.{key}", value)
            else:
                {bool: w.add_bool, int: w.add_uint32, float: w.add_float32}[type(value)](
                    f"{arch}.{key}", value
                )

    return dict(open_gguf(write(fill, arch=arch)).header.config)


def test_a_window_of_no_tokens_is_none(write: Write) -> None:
    """llama.cpp's converter writes 0 for Phi-4, to tell it from the others."""
    assert "sliding_window" not in of(write, "phi3", {"attention.sliding_window": 0})
    assert of(write, "phi3", {"attention.sliding_window": 2047})["sliding_window"] == 2047


@pytest.mark.parametrize(
    ("arch", "keys", "expected"),
    [
        ("qwen3moe", {}, {"norm_topk_prob": True}),
        ("qwen2moe", {}, {"norm_topk_prob": None}),
        (
            "qwen2moe",
            {"expert_used_count": 4},
            {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 128},
        ),
        ("gemma2", {}, {"query_pre_attn_scalar": 16, "sliding_window_pattern": None}),
        ("gemma2", {"block_count": 46, "attention.key_length": 32}, {"query_pre_attn_scalar": 16}),
        ("gemma2", {"attention.key_length": 32}, {"query_pre_attn_scalar": 32}),
        ("gemma3", {"attention.sliding_window": 512}, {"sliding_window_pattern": None}),
        ("gemma4", {}, {"final_logit_softcapping": 30.0}),
        ("gemma4", {"final_logit_softcapping": 5.0}, {"final_logit_softcapping": 5.0}),
        ("gemma3", {}, {"sliding_window_pattern": 1}),
        ("gemma3", {"attention.sliding_window_pattern": 3}, {"sliding_window_pattern": 3}),
        (
            "gemma3",
            {"attention.sliding_window": 4, "attention.sliding_window_pattern": [True, False]},
            {"layer_types": ["sliding_attention", "full_attention"]},
        ),
        ("granite", {}, {"attention_multiplier": 0.25, "rope_finetuned": None}),
        ("granite", {"attention.scale": 0.5}, {"attention_multiplier": 0.5}),
        ("granite", {"rope.scaling.finetuned": False}, {"rope_finetuned": False}),
        ("deepseek2", {}, {"q_lora_rank": None, "topk_method": "greedy"}),
        ("deepseek2", {"expert_group_count": 8}, {"topk_method": "group_limited_greedy"}),
        ("glm4moe", {"nextn_predict_layers": 1}, {"num_hidden_layers": 1}),
        ("olmo2", {"attention.sliding_window": 512}, {"sliding_window": 512}),
        ("gptneox", {"rope.dimension_count": 16}, {"partial_rotary_factor": 1.0}),
        ("phi2", {"rope.dimension_count": 8}, {"partial_rotary_factor": 0.5}),
    ],
)
def test_what_a_missing_key_means_in_an_architecture(
    write: Write, arch: str, keys: dict[str, Any], expected: dict[str, Any]
) -> None:
    got = of(write, arch, keys)
    assert {word: got.get(word) for word in expected} == expected


def test_every_number_of_rotated_dimensions_is_read_exactly() -> None:
    """rotated / whole, as a float, may come out a little small."""
    for whole in range(2, 513):
        for rotated in range(2, whole + 1, 2):
            assert int(whole * partial_rotary({"head_dim": whole}, rotated)) == rotated


@pytest.mark.parametrize(
    ("key", "value"), [("attention.causal", False), ("attention.temperature_scale", 0.1)]
)
def test_keys_that_change_what_is_computed_are_refused_by_name(
    write: Write, key: str, value: Any
) -> None:
    told = of(write, "llama", {key: value})
    with pytest.raises(ConfigError, match=f"unsupported configuration: llama.{key}="):
        read_config(DecoderConfig, told)


def test_vocab_size_falls_back_to_tokens_then_to_rows(write: Write) -> None:
    def tokens(w: gguf.GGUFWriter) -> None:
        w.add_token_list(["a", "b", "c"])

    def rows(w: gguf.GGUFWriter) -> None:
        w.add_tensor("token_embd.weight", np.zeros((5, 4), np.float32))

    def both(w: gguf.GGUFWriter) -> None:
        tokens(w)
        rows(w)

    def stale(w: gguf.GGUFWriter) -> None:
        tokens(w)
        w.add_vocab_size(259)

    assert open_gguf(write(both)).header.config["vocab_size"] == 3
    assert open_gguf(write(stale)).header.config["vocab_size"] == 3
    assert open_gguf(write(lambda w: w.add_vocab_size(7))).header.config["vocab_size"] == 7
    assert open_gguf(write(rows)).header.config["vocab_size"] == 5
    assert "vocab_size" not in open_gguf(write()).header.config


def test_values_of_layers_are_one_where_equal_and_a_tuple_where_not(write: Write) -> None:
    def heads(*each: int) -> Any:
        def fill(w: gguf.GGUFWriter) -> None:
            w.add_block_count(2)
            w.add_head_count_kv(list(each))

        return config(write, fill)["num_key_value_heads"]

    assert heads(2, 2) == 2
    assert heads(2, 1) == (2, 1)
    with pytest.raises(CheckpointError, match=r"head_count_kv has 3 values \(\[2, 1, 1\]\) for 2"):
        heads(2, 1, 1)


def yarn(w: gguf.GGUFWriter) -> None:
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(4.0)
    w.add_rope_scaling_orig_ctx_len(64)


def linear(w: gguf.GGUFWriter) -> None:
    w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    w.add_rope_scaling_factor(2.0)


def longrope(w: gguf.GGUFWriter) -> None:
    w.add_rope_scaling_orig_ctx_len(64)
    w.add_rope_scaling_attn_factors(1.25)
    w.add_tensor("rope_factors_long.weight", np.full(8, 2, np.float32))
    w.add_tensor("rope_factors_short.weight", np.ones(8, np.float32))


def factors(w: gguf.GGUFWriter) -> None:
    w.add_tensor("rope_freqs.weight", np.linspace(1, 8, 8, dtype=np.float32))


SCALINGS: dict[str, tuple[Callable[[gguf.GGUFWriter], None], dict[str, Any]]] = {
    "linear": (linear, {"rope_type": "linear", "factor": 2.0}),
    "yarn": (
        yarn, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    ),
    "yarn of deepseek": (
        lambda w: (yarn(w), w.add_rope_scaling_yarn_log_mul(0.1)),  # type: ignore[arg-type]
        {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
            "mscale": 1.0, "mscale_all_dim": 1.0,
        },
    ),
    "longrope": (
        longrope,
        {
            "rope_type": "longrope", "long_factor": [2.0] * 8, "short_factor": [1.0] * 8,
            "original_max_position_embeddings": 64, "attention_factor": 1.25,
        },
    ),
    "llama3": (factors, {"rope_type": "factors", "factors": [float(i) for i in range(1, 9)]}),
}  # fmt: skip


@pytest.mark.parametrize(("fill", "expected"), SCALINGS.values(), ids=SCALINGS.keys())
def test_rope_scaling_is_what_core_validates(
    write: Write, fill: Callable[[gguf.GGUFWriter], None], expected: dict[str, Any]
) -> None:
    got = config(write, fill)
    assert got["rope_scaling"] == expected
    scaling = read_config(DecoderConfig, got).rope_scaling
    assert scaling is not None
    assert scaling.inverse_frequencies(1e4, 16, 128).shape == (8,)


def test_tensors_that_are_settings_are_not_listed(write: Write) -> None:
    checkpoint = open_gguf(write(lambda w: (longrope(w), factors(w))))
    assert list(checkpoint.header.tensors) == []


def test_yarn_attention_factor_includes_what_llama_cpp_multiplies(write: Write) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        yarn(w)
        w.add_rope_scaling_attn_factors(0.5)

    factor = config(write, fill)["rope_scaling"]["attention_factor"]
    assert factor == pytest.approx(0.5 * (0.1 * np.log(4.0) + 1))


@pytest.mark.parametrize("stretch", [None, 1.0])
def test_no_scaling_is_no_scaling(write: Write, stretch: float | None) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        if stretch is not None:
            w.add_rope_scaling_factor(stretch)

    assert "rope_scaling" not in config(write, fill)


WRONG: dict[str, tuple[Callable[[gguf.GGUFWriter], None], str]] = {
    "unknown scaling": (
        lambda w: w.add_string("llama.rope.scaling.type", "spiral"), "'spiral' is not supported",
    ),
    "longrope without tensors": (
        lambda w: w.add_string("llama.rope.scaling.type", "longrope"), "without the tensors",
    ),
    "partial yarn": (
        lambda w: (yarn(w), w.add_rope_scaling_yarn_ext_factor(0.5)),  # type: ignore[dict-item]
        "yarn_ext_factor=0.5 is not supported",
    ),
    "zero factors": (
        lambda w: w.add_tensor("rope_freqs.weight", np.zeros(8, np.float32)), "not positive",
    ),
    "text for a number": (
        lambda w: w.add_string("llama.rope.dimension_count", "many"), "are not numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fill", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_said_is_refused(
    write: Write, fill: Callable[[gguf.GGUFWriter], None], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        config(write, fill)


def test_real_files_say_what_their_makers_did(data: Path) -> None:
    expected = {
        "hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 384,
        "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 2048,
        "max_position_embeddings": 512, "rope_theta": 10000.0, "bos_token_id": 1,
        "eos_token_id": 2, "tie_word_embeddings": True,
    }  # fmt: skip
    files = sorted((data / "weights" / "TinyStories-656K" / "gguf").glob("*.gguf"))
    assert len(files) == 3
    for path in files:
        header = open_gguf(path).header
        assert header.architecture == "llama"
        assert expected.items() <= header.config.items()
        assert header.config["rms_norm_eps"] == pytest.approx(1e-6)
        assert header.tensors["token_embd.weight"].shape == (2048, 128)
        read_config(DecoderConfig, header.config)
    small = open_gguf(data / "weights" / "stories260K" / "stories260K.gguf").header.config
    assert small["tie_word_embeddings"] is False
    assert "pad_token_id" not in small
