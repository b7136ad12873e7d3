"""Whether a file's metadata mean the model that they were made of.

Both are built, without weights, and compared module by module. So whatever a configuration says
that a GGUF file cannot say, such as an activation of its own, is found before anything is written.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from tramontane.blocks import CausalLM, Rope

FIELDS = (
    "hidden_size", "vocab_size", "num_hidden_layers", "tie_word_embeddings", "logits_scaling",
    "embedding_multiplier", "final_logit_softcapping", "layer_norm_eps",
)  # fmt: skip
"""Of configurations: what models ask for while they run, and what a message had best name."""
METHODS = ("forward", "embed", "logits", "choose", "project")


def difference(mine: CausalLM, theirs: CausalLM, context: int) -> str | None:
    """What differs, for people: "mlp.act of layer 0 is relu, in the file gelu"; None: nothing.

    context: tokens for which they have to be the same; a window is none if it is not narrower.
    """
    for field in FIELDS:
        ours, there = (getattr(model.cfg, field, None) or None for model in (mine, theirs))
        if field not in type(theirs.cfg).model_fields:
            continue
        if not _same(ours, there, context):
            return f"{field} is {ours!r}, in the file {there!r}"
    modules, others = dict(mine.named_modules()), dict(theirs.named_modules())
    if modules.keys() != others.keys():
        path = min(modules.keys() ^ others.keys())
        return f"{path} is {'missing' if path in modules else 'there, too,'} in the file"
    for path, module in modules.items():
        if (found := _between(module, others[path], context)) is not None:
            return f"{path or 'the model'}: {found}"
    return None


def _between(mine: nn.Module, theirs: nn.Module, context: int) -> str | None:
    for method in METHODS:
        ours, there = (getattr(type(module), method, None) for module in (mine, theirs))
        if ours is not there:
            return f"it is a {type(mine).__name__}, in the file a {type(theirs).__name__}"
    told, said = _settings(mine), _settings(theirs)
    for name in sorted(told.keys() | said.keys()):
        ours, there = told.get(name), said.get(name)
        if not _same(ours, there, context, window=name == "window"):
            return f"{name} is {_shown(ours)}, in the file {_shown(there)}"
    return None


def _settings(module: nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and name not in ("training", "cfg", "kernel", "weight", "dtype")
        and not isinstance(value, torch.Tensor | nn.Module)
    }


def _same(mine: Any, theirs: Any, context: int, *, window: bool = False) -> bool:
    if window:
        mine, theirs = (None if w is not None and w >= context else w for w in (mine, theirs))
    if isinstance(mine, Rope) and isinstance(theirs, Rope):
        return mine.dim == theirs.dim and _same_angles(mine, theirs, context)
    if isinstance(mine, bool | str) or isinstance(theirs, bool | str):
        return bool(mine == theirs)
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return math.isclose(mine, theirs, rel_tol=1e-5)
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
        return len(mine) == len(theirs) and all(
            _same(a, b, context) for a, b in zip(mine, theirs, strict=True)
        )
    return mine is theirs or bool(mine == theirs)


def _same_angles(mine: Rope, theirs: Rope, context: int) -> bool:
    trained = getattr(mine.scaling, "original_max_position_embeddings", None) or context
    for length in (1, trained, trained + 1, context, 2 * context):
        ours, there = (each._table(length, torch.empty(0)) for each in (mine, theirs))
        scales = [1.0 if r.scaling is None else r.scaling.magnitude(length) for r in (mine, theirs)]
        if not torch.allclose(ours, there, rtol=1e-4) or not math.isclose(*scales, rel_tol=1e-4):
            return False
    return True


def _shown(value: Any) -> str:
    if isinstance(value, Rope):
        scaled = type(value.scaling).__name__.lower() if value.scaling else "no"
        return f"a rotation of {value.dim} numbers by {value.theta} with {scaled} scaling"
    return getattr(value, "__name__", None) or repr(value)
