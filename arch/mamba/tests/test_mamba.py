"""Mamba's sizes as checkpoints and GGUF files have them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_mamba.mamba2 import Mamba2LMConfig
from tramontane_arch_mamba.mamba2 import metadata as metadata_of_heads
from tramontane_arch_mamba.model import FalconMambaConfig, MambaConfig, MambaLM, metadata
from tramontane_arch_mamba.plugin import TINY, architectures


@pytest.mark.parametrize(
    ("said", "inner", "rank"),
    [
        ({}, 64, 2),
        ({"expand": 3, "time_step_rank": "auto", "hidden_size": 40}, 120, 3),
        ({"expand": 16, "intermediate_size": 48, "time_step_rank": 7}, 48, 7),
    ],
)
def test_sizes(said: dict[str, Any], inner: int, rank: int) -> None:
    cfg = read_config(MambaConfig, {**TINY, **said})
    assert (cfg.intermediate_size, cfg.time_step_rank) == (inner, rank)
    assert cfg.tie_word_embeddings
    with torch.device("meta"):
        mixer: Any = MambaLM(cfg).model.layers[0].mixer
    assert mixer.in_proj.weight.shape == (2 * inner, cfg.hidden_size)
    assert mixer.A_log.shape == (inner, 8)


def test_falcon_norms_without_weights() -> None:
    with torch.device("meta"):
        mixer: Any = MambaLM(read_config(FalconMambaConfig, TINY)).model.layers[0].mixer
    assert mixer.dt_layernorm.weight is None
    assert mixer.dt_layernorm.eps == 1e-6


def test_files_say_whether_there_are_norms() -> None:
    values = {"mamba.ssm.inner_size": 64, "mamba.ssm.dt_b_c_rms": True}
    found = metadata(values, {"rms_norm_eps": 1e-5})
    assert found == {
        "intermediate_size": 64, "normalized": True, "mixer_rms_eps": 1e-5,
        "num_attention_heads": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"hidden_act": "gelu"}, {"conv_kernel": 1}, {"state_size": 0}, {"expand": 0}]
)
def test_what_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(MambaConfig, {**TINY, **change})


HEADS: dict[str, Any] = next(
    {**offer.example} for offer in architectures() if offer.name == "Mamba2ForCausalLM"
)


def test_what_codestral_says_without_words_for_it() -> None:
    cfg = read_config(
        Mamba2LMConfig, {"vocab_size": 32768, "hidden_size": 4096, "num_hidden_layers": 64}
    )
    assert (cfg.mamba_n_heads, cfg.mamba_n_groups, cfg.mamba_d_state) == (128, 8, 128)
    assert not cfg.tie_word_embeddings


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_heads": 5}, "expand 2 times hidden_size 32"),
        ({"head_dim": 8}, "expand 2 times hidden_size 32"),
        ({"n_groups": 3}, "mamba_n_groups 3 does not divide"),
        ({"hidden_act": "gelu"}, "hidden_act"),
    ],
)
def test_heads_that_do_not_fit_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_config(Mamba2LMConfig, {**HEADS, **change})


def test_what_a_gguf_file_says_of_heads() -> None:
    values = {
        "mamba2.ssm.inner_size": 96,
        "mamba2.ssm.time_step_rank": 6,
        "mamba2.ssm.group_count": 3,
    }
    found = metadata_of_heads(values, {"hidden_size": 32})
    assert (found["mamba_expand"], found["mamba_d_head"], found["mamba_n_groups"]) == (3, 16, 3)
