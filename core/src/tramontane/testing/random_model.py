"""Models with random weights: small enough to run in milliseconds, filled by the real loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tramontane.blocks import CausalLM
from tramontane.checkpoint.build import build
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.fill import TIES, fill, rules_of
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.weight_map import slots
from tramontane.config import read_config
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.plugin import Architecture, load
from tramontane.tokenizer.tokenizer import Tokenizer

from .backwards import backwards


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
        rules = rules_of(offer, model.cfg, dialect)
        told = TIES if config.get("tie_word_embeddings") else {}
        ties = getattr(model, "ties", told)
        shapes = {p: slot.shape for p, slot in slots(model).items() if p not in ties}
        tensors = {
            name: TensorInfo(shape, "F32", 4)
            for name, shape in backwards(shapes, rules, self.names, model, dialect).items()
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


def random_model(
    offer: Architecture, dialect: str = "hf", names: Mapping[str, str] | None = None
) -> CausalLM:
    """An architecture's example with random weights. Raises CheckpointError when its rules and
    its parameters do not match one to one."""
    config: Any = read_config(load(offer.config), offer.example)
    model = build(offer, config)
    checkpoint = RandomCheckpoint(offer, model, config.model_dump(), dialect, names)
    fill(checkpoint, model, config, offer, torch.float32, LoadOptions())
    return model
