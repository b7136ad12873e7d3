"""A tiny mixture, for the conformance kit: an adapter as the only expert, in one layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from tramontane.plugin import load

from .gates import Gate, write_gates
from .settings import GATE_FILE, MixtureSettings

DOWN = ".mlp.down_proj.weight"


def write(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path:
    """shapes: (rows, columns) of matrices by their weights' names; those of down_proj count."""
    name, (hidden, _) = next(item for item in shapes.items() if item[0].endswith(DOWN))
    layer = int(name.removesuffix(DOWN).rpartition(".")[2])
    mixture, expert = folder / "mixture", folder / "expert"
    for each in (mixture, expert):
        each.mkdir()
    load("tramontane_plugin_lora.sample:write")(expert, {name: shapes[name]})
    gate = Gate(torch.zeros(2, hidden), torch.tensor([0.0, 1.0]))
    write_gates([gate], [layer], mixture / GATE_FILE)
    MixtureSettings("", "", hidden, (layer,), (str(expert),)).write(mixture)
    return mixture
