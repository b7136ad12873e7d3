"""Adapters as peft saves them: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tramontane.adapters.stored import Delta, StoredAdapter
from tramontane.checkpoint.pytorch_file import PytorchFile
from tramontane.checkpoint.safetensors_file import SafetensorsFile
from tramontane.errors import AdapterError
from tramontane.layouts import Dense
from tramontane.layouts.low_rank import LowRank
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import SMALL, read_object

from .peft_config import CONFIG, HIGHEST_RANK, PeftConfig

FILES = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
PART = re.compile(
    r"(?P<module>.*)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|"
    r"lora_magnitude_vector)(\.weight)?"
)
LORA_BIAS, BASE_BIAS, BASE_WEIGHT = ".lora_B.bias", ".base_layer.bias", ".base_layer.weight"
ROWS = ".token_adapter.trainable_tokens_delta"
INNER = ".experts.base_layer"
"""Where the first of two stacked matrices of one module of experts is, gate_up_proj; the other is
then down_proj."""


def read_lora(folder: Path) -> StoredAdapter:
    """One adapter. Raises AdapterError, CheckpointError."""
    folder = folder if folder.is_dir() else folder.parent
    if not (folder / CONFIG).exists():
        raise AdapterError(f"{folder} has weights of an adapter, but no {CONFIG}")
    config = PeftConfig(read_object(folder / CONFIG, SMALL), folder / CONFIG)
    modules, values, rows = _sorted(_tensors(folder), config, folder)
    deltas: dict[str, Delta] = {}
    for module, parts in modules.items():
        if module.endswith((".experts", INNER)):
            name = _parameter(module, modules, config)
            pair = _pair(module, parts, config, "lora_A", "lora_B")
            deltas[name] = Delta(_experts(name, *pair, config))
        else:
            deltas[f"{module}.weight"] = _delta(module, parts, config)
    if not (deltas or values or rows):
        raise AdapterError(f"{folder} has no tensors of an adapter")
    return StoredAdapter(deltas, values, rows, base=config.base)


def _tensors(folder: Path) -> dict[str, Tensor]:
    path = next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        raise AdapterError(f"{folder} has {CONFIG}, but neither {' nor '.join(FILES)}")
    return {name.removeprefix(PREFIX): each for name, each in tensors_of(path).items()}


def tensors_of(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, Tensor]:
    """The tensors of a file, float32, by their names. Raises AdapterError, CheckpointError."""
    file = SafetensorsFile(path) if path.suffix == ".safetensors" else PytorchFile(path)
    found = {}
    try:
        for name in filter(wanted, file.infos()):
            layout = file.read(name)
            assert isinstance(layout, Dense)
            if not layout.data.dtype.is_floating_point:
                raise AdapterError(f"{path}: {one_line(name)} holds {layout.kind}, not floats")
            data = layout.data.float().clone()
            if not data.isfinite().all():
                raise AdapterError(f"{path}: {one_line(name)} has numbers that are not finite")
            found[name] = data
    finally:
        file.close()
    return found


def _sorted(
    tensors: Mapping[str, Tensor], config: PeftConfig, folder: Path
) -> tuple[
    dict[str, dict[str, Tensor]],
    dict[str, Tensor],
    dict[str, tuple[tuple[int, ...], Tensor]],
]:
    """Parts of low rank by module, and the other tensors by what they are."""
    modules: dict[str, dict[str, Tensor]] = {}
    values: dict[str, Tensor] = {}
    rows: dict[str, tuple[tuple[int, ...], Tensor]] = {}
    for name, tensor in tensors.items():
        if found := PART.fullmatch(name):
            modules.setdefault(found["module"], {})[found["part"]] = tensor
        elif name.endswith(LORA_BIAS):
            modules.setdefault(name.removesuffix(LORA_BIAS), {})["bias"] = tensor
        elif name.endswith(ROWS):
            table = name.removesuffix(ROWS)
            indices = config.token_indices.get(table.rpartition(".")[2], ())
            if len(indices) != len(tensor):
                raise AdapterError(
                    f"{folder}: {one_line(name)} has {len(tensor)} rows, trainable_token_indices "
                    f"names {len(indices)}"
                )
            rows[f"{table}.weight"] = indices, tensor
        elif name.endswith(BASE_BIAS):
            values[f"{name.removesuffix(BASE_BIAS)}.bias"] = tensor
        elif not name.endswith(BASE_WEIGHT):  # which is a copy of the model's own
            values[name.replace(".modules_to_save.", ".")] = tensor
    return modules, values, rows


def _delta(module: str, parts: Mapping[str, Tensor], config: PeftConfig) -> Delta:
    if "lora_embedding_A" in parts or "lora_embedding_B" in parts:
        first, second = _pair(module, parts, config, "lora_embedding_A", "lora_embedding_B")
        if "lora_magnitude_vector" in parts:
            raise AdapterError(
                f"{config.path.parent}: {one_line(module, 120)} is an embedding with DoRA, which "
                "is supported for linear layers only"
            )
        return Delta(LowRank(first.T, (second * config.scale(module, len(first))).T))
    first, second = _pair(module, parts, config, "lora_A", "lora_B")
    scale = config.scale(module, len(first))
    bias, magnitude = parts.get("bias"), parts.get("lora_magnitude_vector")
    if config.dora and magnitude is None:
        raise AdapterError(
            f"{config.path}: use_dora is set, and {one_line(module, 120)} has no "
            "lora_magnitude_vector: the adapter's file lacks a part"
        )
    return Delta(
        LowRank(second * scale, first),
        None if bias is None else bias * scale,
        None if magnitude is None else magnitude.flatten(),
    )


def _parameter(module: str, modules: Mapping[str, Any], config: PeftConfig) -> str:
    """The name of the stacked matrix that a wrapper of a module of experts is of."""
    if module.endswith(INNER):
        return f"{module.removesuffix('.base_layer')}.gate_up_proj"
    if f"{module}.base_layer" in modules:
        return f"{module}.down_proj"
    named = [name for name in config.parameters if name.rpartition(".")[0].endswith("experts")]
    if len(named) != 1:
        raise AdapterError(
            f"{config.path}: {one_line(module, 120)} is one matrix of experts, target_parameters "
            f"names {len(named)}"
        )
    return f"{module}.{named[0].rpartition('.')[2]}"


def _experts(name: str, first: Tensor, second: Tensor, config: PeftConfig) -> LowRank:
    """first: (experts * rank, columns), an expert's rows together. second: (rows, rank * experts),
    an expert's columns `experts` apart."""
    rank = config.rank(name)
    count = len(first) // rank
    if count * rank != len(first) or not count:
        raise AdapterError(
            f"{config.path.parent}: {one_line(name, 120)} has {len(first)} rows in lora_A, which "
            f"are no multiple of the rank {rank}"
        )
    left = (second * config.scale(name, rank)).unflatten(1, (rank, count)).permute(2, 0, 1)
    group = torch.arange(count).repeat_interleave(len(second))
    return LowRank(left.flatten(0, 1), first, group)


def _pair(
    module: str, parts: Mapping[str, Tensor], config: PeftConfig, *names: str
) -> tuple[Tensor, Tensor]:
    shown = one_line(module, 120)
    for name in names:
        if name not in parts:
            raise AdapterError(f"{config.path.parent}: {shown} has no {name}")
    first, second = (parts[name] for name in names)
    if first.dim() == 2 and len(first) > HIGHEST_RANK * 256:
        raise AdapterError(f"{config.path.parent}: {shown} has rank {len(first)}")
    if first.dim() != 2 or second.dim() != 2 or first.shape[0] != second.shape[1]:
        raise AdapterError(
            f"{config.path.parent}: {shown}: {names[0]} is {tuple(first.shape)} and {names[1]} "
            f"{tuple(second.shape)}, which are no (rank, columns) and (rows, rank)"
        )
    return first, second
