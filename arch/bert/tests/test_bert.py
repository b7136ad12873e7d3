"""Buckets of distances, positions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.checkpoint.rules import follow
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_bert.model import CLASSIFIER, WEIGHTS, BertConfig, RobertaConfig
from tramontane_arch_bert.mpnet import buckets_of
from tramontane_arch_bert.plugin import TINY
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder


@pytest.mark.parametrize("count", [8, 32])
def test_buckets_are_those_of_transformers(count: int) -> None:
    at = torch.arange(400)
    expected = MPNetEncoder.relative_position_bucket(at[None] - at[:, None], count)
    assert (buckets_of(at[:, None] - at, count) == expected).all()


def test_positions_of_roberta_begin_behind_the_paddings() -> None:
    config = read_config(RobertaConfig, {**TINY, "pad_token_id": 1})
    assert (config.first_position, config.most_tokens) == (2, 62)
    assert read_config(BertConfig, TINY).most_tokens == 64


@pytest.mark.parametrize("front", ["", "bert.", "roberta."])
def test_names_with_and_without_what_is_before_them(front: str) -> None:
    (end,) = follow(f"{front}encoder.layer.1.attention.output.dense", "weight", WEIGHTS["hf"])
    assert end[0] == "model.layers.1.self_attn.o_proj"
    (end,) = follow(f"{front}embeddings.LayerNorm", "gamma", WEIGHTS["hf"])
    assert end[:2] == ("embed_norm", "weight")
    assert follow(f"{front}pooler.dense", "weight", WEIGHTS["hf"]) == []
    (end,) = follow("classifier.out_proj", "weight", CLASSIFIER["hf"])
    assert end[0] == "head.out"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "tanh"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder"),
        ({"num_attention_heads": 5}, "not a multiple of num_attention_heads 5"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(BertConfig, {**TINY, **change})


def test_labels_are_counted() -> None:
    names = {"id2label": {"0": "a", "1": "b"}}
    assert read_config(BertConfig, {**TINY, **names}).labels == 2
