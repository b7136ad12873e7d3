"""Rules for the tensors of layers that keep a state, as llama.cpp's converter writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tramontane.layouts import Dense, Layout

from .rules import Flatten, Rename, Rule


@dataclass(frozen=True)
class LogOfNegative(Flatten):
    """log(-x) of each number, float32: A_log, where a checkpoint has -exp(A_log); as one vector
    where the model has one."""

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        found = layout.decode().float()
        if model.get_parameter(path).dim() == 1:
            found = found.flatten()
        return Dense(found if found.is_meta else found.neg().log())

    def undo(self, numbers: Tensor) -> Tensor:
        """-exp(x): what a checkpoint has of them."""
        return numbers.exp().neg()


def ssm_rules(name: str) -> list[Rule]:
    """Rules for GGUF's `ssm_*` tensors of a module `name` of each layer, such as `Mamba2`."""
    to = f"model.layers.*.{name}"
    return [
        Rename("blk.*.ssm_a", f"{to}.A_log"),
        Rename("blk.*.ssm_d", f"{to}.D"),
        Rename("*.mixer.dt_proj.bias", f"*.{name}.dt_bias"),
        Rename("*.mixer.*", f"*.{name}.*"),
        LogOfNegative(f"*.{name}.A_log"),
        Flatten(f"*.{name}.D"),
        Flatten(f"*.{name}.norm"),
    ]


def selective_rules(name: str) -> list[Rule]:
    """The same of a module `name` of each layer, such as `Mamba`."""
    to = f"model.layers.*.{name}"
    return [
        Rename("blk.*.ssm_a", f"{to}.A_log"),
        Rename("blk.*.ssm_d", f"{to}.D"),
        *(Rename(f"blk.*.ssm_{part}_norm", f"{to}.{part}_layernorm") for part in ("dt", "b", "c")),
        Rename("*.mixer.*", f"*.{name}.*"),
        LogOfNegative(f"*.{name}.A_log"),
        Flatten(f"*.{name}.D"),
    ]


def ssm_fields(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What a GGUF file's metadata say of Mamba-2 layers, in `Mamba2Config`'s words. name: of the
    architecture there."""
    words = {
        "conv_kernel": "mamba_d_conv",
        "state_size": "mamba_d_state",
        "group_count": "mamba_n_groups",
        "time_step_rank": "mamba_n_heads",
    }
    found = {word: values.get(f"{name}.ssm.{key}") for key, word in words.items()}
    return {word: value for word, value in found.items() if value is not None}
