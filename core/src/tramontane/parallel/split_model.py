"""Cutting a model: which parameters a rank has, and which parts every rank has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container
from functools import cache
from typing import Any

from torch import nn

from tramontane.block_format import Plain
from tramontane.blocks import Attention, CausalLM, Linear, StackedLinear
from tramontane.checkpoint.build import Built, build
from tramontane.checkpoint.checkpoint import DENSE, ReadsStored
from tramontane.errors import ConfigError
from tramontane.layouts import column_step

from .cutter import Cutter
from .group import Group
from .share import Share
from .split_blocks import SPLITTERS, has_heads, head

WIDEST = 256
"""Columns of the widest blocks that are made of weights as they are read."""


def split_model(built: Built, group: Group, quantized: Container[str] = ()) -> Share:
    """Cut a model on the meta device. quantized: paths of weights that are quantized as they are
    read. Raises ConfigError for one that ranks cannot compute."""
    model = built.model
    if model.crosses or any(hasattr(module, "keys_and_values") for module in model.modules()):
        raise ConfigError(
            f"{built.checkpoint.header.path}: a model that attends to what an encoder gives is "
            "computed by one process; leave --tp"
        )
    whole = build(built.architecture, built.config)
    cutter = Cutter(group, _steps(built, model, quantized))
    split: Counter[str] = Counter()
    done: set[str] = set()
    for path, block in _blocks(model):
        for kind, splitter in SPLITTERS:
            if isinstance(block, kind):
                if splitter(block, path, cutter):
                    split[type(block).__name__] += 1
                    done.add(path)
                break
    if type(model.lm_head) is Linear and head(model.lm_head, "lm_head", cutter):
        split["lm_head"] += 1
        done.add("lm_head")
    repeated = tuple(
        dict.fromkeys(
            _owner(path)
            for path, module in model.named_modules()
            if isinstance(module, Linear | StackedLinear)
            and not any(path == each or path.startswith(f"{each}.") for each in done)
            and not type(module).__name__.endswith("Router")
        )
    )
    return Share(group.rank, group.size, whole, cutter.cuts, dict(split), repeated)


def _blocks(model: CausalLM) -> list[tuple[str, nn.Module]]:
    """The blocks of its layers, by path."""
    found = model.model.layers.named_modules(prefix="model.layers")
    return [(path, module) for path, module in found if path != "model.layers"]


def _owner(path: str) -> str:
    return path.rpartition(".")[0] or path


def _steps(built: Built, model: CausalLM, quantized: Container[str]) -> Callable[[str], int | None]:
    """At multiples of how many columns each weight can be cut, by its path; layers that share keys
    and values are cut alike."""
    together: dict[int, list[str]] = {}
    uncut: set[int] = set()
    for path, block in _blocks(model):
        if isinstance(block, Attention):
            together.setdefault(block.index, []).append(f"{path}.o_proj.weight")
            if not has_heads(block):
                uncut.add(block.index)
    apart = {path for index in uncut for path in together[index]}
    alike = {path: paths for paths in together.values() for path in paths}
    one = cache(lambda path: WIDEST if path in quantized else _step(built, path))

    def step(path: str) -> int | None:
        if path in apart:
            return None
        found = [one(each) for each in alike.get(path, [path])]
        return None if None in found else math.lcm(*(each for each in found if each))

    return step


def _step(built: Built, path: str) -> int | None:
    """Of a weight as its first tensor is stored."""
    source = built.sources.get(path)
    if source is None:
        return 1
    tensor = source.tensors[0]
    if built.checkpoint.header.tensors[tensor].stored.lower() in DENSE:
        return 1
    stored: Any = None
    if isinstance(built.checkpoint, ReadsStored):
        stored = built.checkpoint.stored(tensor)
    if stored is None:
        return column_step(built.checkpoint.read(tensor))
    return 1 if isinstance(stored.recipe, Plain) else stored.recipe.count
