"""What the tests of parity are told of a family, and what most families' configurations share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SHARED: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def rope(kind: str, **settings: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **settings}}


ROPES = {
    "linear": rope("linear", factor=2.0),
    "dynamic": {**rope("dynamic", factor=2.0), "max_position_embeddings": 16},
    "yarn": rope("yarn", factor=4.0, original_max_position_embeddings=16),
    "yarn-mscale": rope(
        "yarn",
        factor=8.0,
        original_max_position_embeddings=16,
        beta_fast=16.0,
        beta_slow=2.0,
        mscale=0.7,
        mscale_all_dim=0.9,
    ),
    "llama3": rope(
        "llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=32,
    ),
    "longrope": rope(
        "longrope",
        short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5],
        long_factor=[1.5, 2.0, 2.5, 3.0, 3.5, 4.0],
        original_max_position_embeddings=24,
        factor=2.0,
    ),
}


Tensors = dict[str, Any]
"""Arrays by transformers' names; the last dimension of a matrix may be packed."""


def as_they_are(tensors: Tensors, config: Any) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Gguf:
    """How llama.cpp writes a family. arch: its name there.

    keys: settings of the architecture beside those that all have; with a dot before them, not below
    its name. convert: what llama.cpp's
    converter does to tensors; their rows may be moved, their columns not. plain: pieces of names of
    matrices that are left as floats. turned: those that lie the other way round in transformers.
    sizes: what differs from the sizes that most files here have.
    """

    arch: str
    keys: Callable[[Any], dict[str, Any]] = lambda config: {}
    convert: Callable[[Tensors, Any], Tensors] = as_they_are
    plain: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    sizes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """A family that transformers has no class of, by a class that computes the same.

    name: in `architectures`. settings: the family's words and sizes as those of the class. config:
    the class's config.json as the family's. tensors: torch's, from the class's names to the
    family's. No code of a checkpoint is run for it.
    """

    name: str
    settings: Callable[[dict[str, Any]], dict[str, Any]] = lambda settings: settings
    config: Callable[[dict[str, Any]], dict[str, Any]] = lambda told: told
    tensors: Callable[[Tensors, dict[str, Any]], Tensors] = as_they_are


@dataclass(frozen=True)
class Family:
    """config: a class of transformers. shared: what all its configurations here have. attention:
    which of its implementations is right. remote: how checkpoints are written, where the class is
    of another family."""

    config: str
    variants: dict[str, dict[str, Any]]
    shared: dict[str, Any] = field(default_factory=lambda: SHARED)
    gguf: Gguf | None = None
    attention: str = "eager"
    remote: Remote | None = None
