"""What sentence-transformers writes beside a model: what becomes of its rows (`modules.json`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tramontane.errors import CheckpointError, ConfigError
from tramontane.tokenizer.json_file import SMALL, read_if_there, read_object, read_text

from .task import MODULES

FLAGS = {
    "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean", "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken",
}  # fmt: skip
"""Of older configurations, in the order in which several are put side by side."""
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Identity": lambda x: x, "Tanh": torch.tanh, "ReLU": F.relu, "GELU": F.gelu,
    "Sigmoid": torch.sigmoid, "SiLU": F.silu,
}  # fmt: skip
MOST = 16
"""Modules of a pipeline."""
WIDEST = 1 << 20


@dataclass(frozen=True)
class Dense:
    """act(weight x + bias): weight (n_out, n_in), bias (n_out) or None."""

    weight: Tensor
    bias: Tensor | None
    act: Callable[[Tensor], Tensor]
    residual: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """(n_in) -> (n_out)."""
        out = self.act(F.linear(x[None], self.weight, self.bias)[0])
        return out + x if self.residual else out


@dataclass(frozen=True)
class Pipeline:
    """pooling: how rows become a vector, several side by side. include_prompt: whether a prompt's
    tokens count. steps: Dense, or "normalize". max_tokens: the longest text; None: as the model
    says. lower: whether texts are written in small letters first. dimensions: how many numbers of
    a vector are meant; None: all. folder: where the model itself is."""

    pooling: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    steps: tuple[Dense | str, ...] = ()
    max_tokens: int | None = None
    lower: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    dimensions: int | None = None

    def width(self, hidden: int) -> int:
        """Numbers of a vector, of rows of `hidden`."""
        found = hidden * len(self.pooling)
        for step in self.steps:
            if isinstance(step, Dense):
                if step.weight.shape[1] != found:
                    raise ConfigError(
                        f"a Dense module takes {step.weight.shape[1]} numbers, and is given {found}"
                    )
                found = step.weight.shape[0]
        return found

    @property
    def normalizes(self) -> bool:
        """Whether its vectors are of length 1."""
        return bool(self.steps) and self.steps[-1] == "normalize"


def read_pipeline(path: Path) -> Pipeline:
    """What belongs to a model's folder; without `modules.json`, mean pooling.

    Raises CheckpointError, ConfigError for a module that is not known.
    """
    root = next((each for each in (path, path.parent) if (each / MODULES).is_file()), None)
    if not path.is_dir() or root is None:
        return Pipeline()
    told: dict[str, Any] = {}
    steps: list[Dense | str] = []
    for kind, folder in listed(root):
        if kind == "Transformer":
            found = read_if_there(folder / "sentence_bert_config.json")
            told["max_tokens"] = _whole(found, "max_seq_length", folder)
            told["lower"] = found.get("do_lower_case") is True
        elif kind == "Pooling":
            told |= _pooling(folder)
        elif kind == "Dense":
            steps.append(_dense(folder))
        elif kind == "Normalize":
            steps.append("normalize")
        else:
            raise ConfigError(f"{root / MODULES}: the module {kind!r:.60} is not supported")
    about = read_if_there(root / "config_sentence_transformers.json")
    prompts = about.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(v, str) for v in prompts.values()):
        raise ConfigError(f"{root}: 'prompts' must be texts by their names")
    default = about.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise ConfigError(f"{root}: default_prompt_name {default!r:.60} is not one of prompts")
    return Pipeline(
        steps=tuple(steps), prompts=prompts, default_prompt=default,
        dimensions=_whole(about, "truncate_dim", root), **told,
    )  # fmt: skip


def listed(root: Path) -> list[tuple[str, Path]]:
    """The kinds of modules and their folders, in order. Raises CheckpointError."""
    import json

    path = root / MODULES
    try:
        found = json.loads(read_text(path, SMALL))
    except (RecursionError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, list) or not 0 < len(found) <= MOST:
        raise CheckpointError(f"{path} must list 1 to {MOST} modules")
    modules = []
    for each in found:
        kind, where = (each.get(key) if isinstance(each, Mapping) else None
                       for key in ("type", "path"))  # fmt: skip
        if not isinstance(kind, str) or not isinstance(where, str):
            raise CheckpointError(f"{path}: a module must have a type and a path, not {each!r:.60}")
        if where in (".", "..") or set(where) & set("/\\\0"):
            raise CheckpointError(f"{path}: {where!r:.60} is no name of a folder")
        modules.append((kind.rpartition(".")[2], root / where))
    return modules


def _pooling(folder: Path) -> dict[str, Any]:
    config = read_object(folder / "config.json")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in FLAGS.items() if config.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    for mode in modes if isinstance(modes, list) else [modes]:
        if mode not in FLAGS.values():
            raise ConfigError(
                f"{folder}: pooling_mode {mode!r:.60} is not one of {', '.join(FLAGS.values())}"
            )
    return {"pooling": tuple(modes), "include_prompt": config.get("include_prompt", True) is True}


def _dense(folder: Path) -> Dense:
    from tramontane.checkpoint.folder import open_weights
    from tramontane.checkpoint.weight_files import find_weights

    config = read_object(folder / "config.json")
    name = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    act = ACTIVATIONS.get(name.rpartition(".")[2])
    if act is None:
        raise ConfigError(
            f"{folder}: activation_function {name!r:.60} is not one of {', '.join(ACTIVATIONS)}"
        )
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
            raise ConfigError(f"{folder}: {key} {config[key]!r:.60} is not supported")
    paths = find_weights(folder)
    if len(paths) != 1:
        raise CheckpointError(f"{folder} has {len(paths)} files of weights, and should have one")
    (path,) = paths
    with closing(open_weights(path)) as file:
        infos = file.infos()
        shape = infos["linear.weight"].shape if "linear.weight" in infos else ()
        if len(shape) != 2 or max(shape) > WIDEST:
            raise CheckpointError(f"{path}: linear.weight is no matrix")
        weight = file.read("linear.weight").decode(torch.float32).clone()
        bias = None
        if "linear.bias" in infos:
            if infos["linear.bias"].shape != shape[:1]:
                raise CheckpointError(f"{path}: linear.bias does not fit linear.weight")
            bias = file.read("linear.bias").decode(torch.float32).clone()
    residual = config.get("use_residual") is True
    if residual and shape[0] != shape[1]:
        raise ConfigError(f"{folder}: use_residual with a matrix of {shape} is not supported")
    return Dense(weight, bias, act, residual)


def _whole(config: Mapping[str, Any], key: str, folder: Path) -> int | None:
    value = config.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise ConfigError(f"{folder}: {key} {value!r:.60} is no number of at least 1")
    return value


def pooled(rows: Tensor, modes: Sequence[str]) -> Tensor:
    """rows: (tokens, hidden) of one text -> (hidden * modes) float32."""
    rows = rows.float()
    return torch.cat([_pooled(rows, mode) for mode in modes])


def _pooled(rows: Tensor, mode: str) -> Tensor:
    if mode == "cls":
        return rows[0]
    if mode == "lasttoken":
        return rows[-1]
    if mode == "max":
        return rows.max(0).values
    if mode == "weightedmean":
        weights = torch.arange(1, len(rows) + 1, dtype=torch.float32)[:, None]
        return (rows * weights).sum(0) / weights.sum()
    total = rows.sum(0)
    return total / len(rows) ** 0.5 if mode == "mean_sqrt_len_tokens" else total / len(rows)
