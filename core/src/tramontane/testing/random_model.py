"""Models with random weights: small enough to run in milliseconds, filled by the real loader."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from tramontane.blocks import CausalLM
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.load import TIES, LoadOptions, build, fill
from tramontane.checkpoint.rules import Rename, Rule
from tramontane.checkpoint.slots import slots
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.plugin import Architecture, load
from tramontane.tokenizer.tokenizer import Tokenizer


class RandomCheckpoint:
    """The checkpoint that an architecture's own rules ask for, in one dialect of names.

    names: a container's module names in the model's words; none for "hf".
    """

    def __init__(
        self,
        offer: Architecture,
        model: CausalLM,
        config: Mapping[str, Any],
        dialect: str = "hf",
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.names = dict(names or {})
        dialects: dict[str, list[Rule]] = load(offer.weights) if offer.weights else {}
        rules = dialects.get(dialect, [])
        ties = TIES if config.get("tie_word_embeddings") else {}
        tensors = {
            _said(path, rules, self.names): TensorInfo(slot.shape, "F32", 4)
            for path, slot in slots(model).items()
            if path not in ties
        }
        self.header = Header(Path("random"), "random", dialect, offer.name, config, tensors)

    def read(self, name: str) -> Layout:
        shape = self.header.tensors[name].shape
        # of the name, so that order and dialect do not matter
        random = torch.Generator().manual_seed(sum(name.encode()) * 7919 + len(name))
        data = torch.randn(shape, generator=random)
        if len(shape) == 1:  # norms stand near one, and biases do no harm there
            return Dense(1 + 0.1 * data)
        return Dense(data / shape[-1] ** 0.5)

    def tokenizer(self) -> Tokenizer:
        raise CheckpointError("random weights have no tokenizer")

    def chat_template(self) -> str | None:
        return None

    def generation_defaults(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        pass


def _said(path: str, rules: list[Rule], names: Mapping[str, str]) -> str:
    """The tensor name from which the rules make a path: the rules backwards."""
    stem, _, last = path.rpartition(".")
    for rule in rules:
        if isinstance(rule, Rename) and fnmatchcase(stem, rule.to):
            before, after = rule.to.split("*")
            stem = rule.pattern.replace("*", stem[len(before) : len(stem) - len(after)])
            break
    if names:
        numbers = [part for part in stem.split(".") if part.isdigit()]
        pattern = ".".join("{}" if part.isdigit() else part for part in stem.split("."))
        theirs = next((said for said, ours in names.items() if ours == pattern), None)
        if theirs is None:
            raise CheckpointError(f"no name of this container means {stem}")
        stem = theirs.format(*numbers)
    return f"{stem}.{last}" if stem else last


def random_model(
    offer: Architecture, dialect: str = "hf", names: Mapping[str, str] | None = None
) -> CausalLM:
    """An architecture's example with random weights. Raises CheckpointError when its rules and
    its parameters do not match one to one."""
    config = read_config(load(offer.config), offer.example)
    assert isinstance(config, DecoderConfig)
    model = build(offer, config)
    checkpoint = RandomCheckpoint(offer, model, config.model_dump(), dialect, names)
    fill(checkpoint, model, config, offer, torch.float32, LoadOptions())
    return model
