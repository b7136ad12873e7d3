"""`anymoe.json`: what a folder with a mixture of experts says of itself.

    {"format": "tramontane-anymoe", "version": 1, "base": "org/name",
     "architecture": "LlamaForCausalLM", "hidden_size": 4096, "layers": [0, 1],
     "experts": ["org/expert", "../adapter"], "decide": "prompt", "gate_hidden": 0,
     "target_modules": null, "training": {...}}

experts: without the model itself, which is expert 0; local ones may be relative to the folder.
target_modules: which matrices of LoRA adapters count, such as "gate_proj"; null: all of them.
training: how the gate came to be, for people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from tramontane.errors import AdapterError
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import SMALL, read_object

FILE = "anymoe.json"
GATE_FILE = "gate.safetensors"
FORMAT, VERSION = "tramontane-anymoe", 1
DECIDE = ("prompt", "token")
MOST_EXPERTS = 64
KEYS = {
    "format", "version", "base", "architecture", "hidden_size", "layers", "experts", "decide",
    "gate_hidden", "target_modules", "training",
}  # fmt: skip


@dataclass(frozen=True)
class MixtureSettings:
    """See above. decide: whether each prompt is given its experts, or each token."""

    base: str
    architecture: str
    hidden_size: int
    layers: tuple[int, ...]
    experts: tuple[str, ...]
    decide: Literal["prompt", "token"] = "prompt"
    gate_hidden: int = 0
    target_modules: tuple[str, ...] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Experts, the model itself included."""
        return 1 + len(self.experts)

    def write(self, folder: Path) -> None:
        told = {"format": FORMAT, "version": VERSION, **vars(self)}
        told["experts"] = [_stored(each, folder) for each in self.experts]
        (folder / FILE).write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def read_settings(folder: Path) -> MixtureSettings:
    """A folder's, experts in it as paths from here. Raises AdapterError, CheckpointError."""
    path = folder / FILE if folder.is_dir() else folder
    told = read_object(path, SMALL)
    if told.get("format") != FORMAT:
        raise AdapterError(f"{path}: format should be {FORMAT!r}, not {told.get('format')!r:.60}")
    if told.get("version") != VERSION:
        raise AdapterError(
            f"{path}: version {told.get('version')!r:.60} is not {VERSION}, which this "
            "tramontane-plugin-anymoe reads: pip install --upgrade tramontane-plugin-anymoe"
        )
    if unknown := set(told) - KEYS:
        raise AdapterError(f"{path}: {one_line(min(unknown), 60)} is not known")
    layers: Any = told.get("layers")
    experts: Any = told.get("experts")
    if not _are(layers, int) or any(each < 0 for each in layers) or len(set(layers)) < len(layers):
        raise AdapterError(f"{path}: layers should be numbers of layers, each once")
    if not _are(experts, str) or len(experts) >= MOST_EXPERTS:
        raise AdapterError(
            f"{path}: experts should be 1 to {MOST_EXPERTS - 1} sources of experts, folders or "
            "org/name"
        )
    if told.get("decide") not in DECIDE:
        raise AdapterError(f"{path}: decide should be prompt or token")
    hidden, width = told.get("gate_hidden"), told.get("hidden_size")
    if type(hidden) is not int or hidden < 0 or type(width) is not int or width < 1:
        raise AdapterError(
            f"{path}: gate_hidden should be a number from 0, hidden_size one from 1, not "
            f"{hidden!r:.40} and {width!r:.40}"
        )
    modules, training = told.get("target_modules"), told.get("training", {})
    if modules is not None and not _are(modules, str):
        raise AdapterError(f"{path}: target_modules should be names, or null")
    if not isinstance(training, dict):
        raise AdapterError(f"{path}: training should be an object")
    return MixtureSettings(
        base=str(told.get("base", "")),
        architecture=str(told.get("architecture", "")),
        hidden_size=width,
        layers=tuple(sorted(layers)),
        experts=tuple(_found(each, path.parent) for each in experts),
        decide=cast("Literal['prompt', 'token']", told["decide"]),
        gate_hidden=hidden,
        target_modules=None if modules is None else tuple(modules),
        training=training,
    )


def _are(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is kind for each in value)


def _stored(expert: str, folder: Path) -> str:
    """A local expert below the folder's parent by the way to there, so that both may be moved."""
    path = Path(expert).expanduser()
    if not path.exists():
        return expert
    path, parent = path.resolve(), folder.resolve().parent
    if path.is_relative_to(parent):
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    return str(path)


def _found(expert: str, folder: Path) -> str:
    here = folder / expert
    return str(here) if expert and here.exists() else expert
