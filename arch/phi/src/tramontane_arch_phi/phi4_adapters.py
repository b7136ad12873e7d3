"""Adapters that are part of Phi-4-multimodal: one for prompts with images, "vision", and one for
prompts with sounds alone, "speech".

Published checkpoints have them among their own tensors (`*.lora_A.vision`), scaled by `vision_lora`
and `speech_lora` of config.json; and in the folders `vision-lora` and `speech-lora` as peft saves
adapters, which is where those that transformers has converted have them alone.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tramontane.adapters.stored import Delta, StoredAdapter
from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense
from tramontane.layouts.low_rank import LowRank

from .phi4_config import LoraSettings, Phi4MultimodalConfig

log = logging.getLogger(__name__)
NAMES = ("vision", "speech")


Found = Callable[[], StoredAdapter] | Path


def adapters(config: Phi4MultimodalConfig, checkpoint: Checkpoint) -> Mapping[str, Found]:
    """What reads them raises CheckpointError for pairs that are incomplete, or not as config.json
    says."""
    path, found = checkpoint.header.path, dict[str, Found]()
    for name, told in zip(NAMES, (config.vision_lora, config.speech_lora), strict=True):
        end = f".lora_A.{name}.weight"
        modules = sorted(
            each.removesuffix(end) for each in checkpoint.header.tensors if each.endswith(end)
        )
        if modules:
            found[name] = partial(_stored, name, modules, told, checkpoint)
        elif (path / f"{name}-lora" / "adapter_config.json").exists():
            found[name] = path / f"{name}-lora"
    if missing := [name for name in NAMES if name not in found]:
        log.warning(
            "%s has no adapter for %s, neither among its tensors nor in a folder (%s): prompts "
            "with them are computed without, as by a model that was not trained for them",
            path, " and ".join(missing), ", ".join(f"{name}-lora" for name in missing),
        )  # fmt: skip
    return found


def _stored(
    name: str, modules: list[str], told: LoraSettings | None, checkpoint: Checkpoint
) -> StoredAdapter:
    path = checkpoint.header.path
    if told is None:
        raise CheckpointError(
            f"{path} has the adapter {name}, and config.json no {name}_lora, which says r and "
            "lora_alpha"
        )
    deltas = {}
    for module in modules:
        names = [f"{module}.lora_{part}.{name}.weight" for part in "AB"]
        if names[1] not in checkpoint.header.tensors:
            raise CheckpointError(f"{path} has {names[0]}, and no {names[1]}: a part is missing")
        first, second = (_plain(checkpoint, each) for each in names)
        if first.dim() != 2 or second.dim() != 2 or {len(first), second.shape[1]} != {told.r}:
            raise CheckpointError(
                f"{path}: {names[0]} is {tuple(first.shape)} and {names[1]} "
                f"{tuple(second.shape)}, which are no pair of rank {told.r}, as {name}_lora.r says"
            )
        scaled = second.float() * (told.lora_alpha / told.r)
        small = scaled.to(second.dtype)  # by powers of two, no number changes
        left = small if torch.equal(small.float(), scaled) else scaled
        deltas[f"{module}.weight"] = Delta(LowRank(left, first))
    return StoredAdapter(deltas)


def _plain(checkpoint: Checkpoint, name: str) -> Tensor:
    """As it is stored, where that is plain numbers; it outlives the file."""
    layout = checkpoint.read(name)
    return layout.data.clone() if isinstance(layout, Dense) else layout.decode()
