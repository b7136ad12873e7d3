"""The TOML files with which mistral.rs makes such mixtures, read as they are.

    [model]
    model_id = "mistralai/Mistral-7B-Instruct-v0.1"
    arch = "mistral"

    [anymoe]
    dataset_json = "examples/amoe.json"
    prefix = "model.layers"
    mlp = "mlp"
    model_ids = ["HuggingFaceH4/zephyr-7b-beta"]
    layers = [0, 1, 2]

    [anymoe.config]
    hidden_size = 4096
    expert_type = "fine_tuned"

or `[anymoe.config.expert_type.lora_adapter]` with rank, alpha and target_modules. `prefix` and
`mlp` are not needed: experts are read by the rules of the family. Further keys of `config` are lr,
epochs, batch_size, gate_model_id (where gates are written, or read from with training = false),
training and loss_csv_path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import SMALL, read_text

ANYMOE = {"config", "dataset_json", "dataset_csv", "prefix", "mlp", "model_ids", "layers"}
CONFIG = {
    "hidden_size", "expert_type", "lr", "epochs", "batch_size", "gate_model_id", "training",
    "loss_csv_path",
}  # fmt: skip
KINDS: dict[str, Any] = {
    "hidden_size": int, "lr": (int, float), "epochs": int, "batch_size": int, "gate_model_id": str,
    "training": bool, "loss_csv_path": str, "prefix": str, "mlp": str,
}  # fmt: skip


@dataclass(frozen=True)
class Selector:
    """What a file says; None or empty where it does not. values: lr, epochs and batch_size."""

    model: str | None
    dataset: Path | None
    experts: tuple[str, ...]
    layers: tuple[int, ...] | None = None
    hidden_size: int | None = None
    target_modules: tuple[str, ...] | None = None
    rank: int | None = None
    alpha: float | None = None
    gate: str | None = None
    trains: bool = True
    loss_csv: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def read_selector(path: Path) -> Selector:
    """Paths in it are from the current folder, as there. Raises UsageError, CheckpointError."""
    try:
        told = tomllib.loads(read_text(path, SMALL))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    anymoe = _table(told, "anymoe", path)
    config = _table(anymoe, "config", path, "anymoe.")
    _refuse_unknown(anymoe, ANYMOE, "anymoe", path)
    _refuse_unknown(config, CONFIG, "anymoe.config", path)
    for table in (anymoe, config):
        for key, value in table.items():
            kind = KINDS.get(key)
            wrong = kind is not None and not isinstance(value, kind)
            if wrong or (isinstance(value, bool) and key != "training"):
                raise UsageError(f"{path}: {key} {value!r:.60} is of the wrong type")
    experts, layers = anymoe.get("model_ids"), anymoe.get("layers")
    if not _are(experts, str):
        raise UsageError(f"{path}: [anymoe] model_ids should be a list of models or adapters")
    if layers is not None and not (layers == [] or _are(layers, int)):
        raise UsageError(f"{path}: [anymoe] layers should be a list of layers' numbers")
    dataset = anymoe.get("dataset_json", anymoe.get("dataset_csv"))
    if dataset is not None and not isinstance(dataset, str):
        raise UsageError(f"{path}: [anymoe] dataset_json should be a path, not {dataset!r:.60}")
    csv = config.get("loss_csv_path")
    return Selector(
        model=_model(told.get("model"), path),
        dataset=None if dataset is None else Path(dataset),
        experts=tuple(experts or ()),
        layers=tuple(layers) if layers else None,
        hidden_size=config.get("hidden_size"),
        gate=config.get("gate_model_id"),
        trains=config.get("training", True),
        loss_csv=None if csv is None else Path(csv),
        values={key: config[key] for key in ("lr", "epochs", "batch_size") if key in config},
        **_expert_type(config.get("expert_type"), path),
    )


def _expert_type(told: Any, path: Path) -> dict[str, Any]:
    """What is said of adapters; their own files are what counts."""
    if told is None or told == "fine_tuned" or told == {"fine_tuned": {}}:
        return {}
    settings = told.get("lora_adapter") if isinstance(told, dict) and len(told) == 1 else None
    if not isinstance(settings, dict):
        raise UsageError(
            f"{path}: expert_type should be fine_tuned, or a table lora_adapter with rank, alpha "
            f"and target_modules, not {told!r:.60}"
        )
    _refuse_unknown(
        settings, {"rank", "alpha", "target_modules"}, "anymoe.config.expert_type.lora_adapter",
        path,
    )  # fmt: skip
    modules = settings.get("target_modules")
    if modules is not None and not _are(modules, str):
        raise UsageError(f"{path}: target_modules should be a list of names")
    for key in ("rank", "alpha"):
        value = settings.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UsageError(f"{path}: {key} should be a number, not {value!r:.60}")
    return {
        "rank": settings.get("rank"),
        "alpha": settings.get("alpha"),
        "target_modules": None if modules is None else tuple(modules),
    }


def _model(told: Any, path: Path) -> str | None:
    """What -m would be. Keys that say how to load it belong on the command line."""
    if not isinstance(told, dict):
        return None
    file, of = told.get("quantized_filename"), told.get("quantized_model_id")
    if isinstance(file, str) and isinstance(of, str):
        return str(Path(of) / file) if Path(of).is_dir() else f"{of}:{file}"
    found = told.get("model_id")
    if found is not None and not isinstance(found, str):
        raise UsageError(f"{path}: [model] model_id should be a text, not {found!r:.60}")
    return found


def _table(told: Mapping[str, Any], name: str, path: Path, above: str = "") -> dict[str, Any]:
    found = told.get(name)
    if not isinstance(found, dict):
        raise UsageError(f"{path} has no table [{above}{name}]")
    return found


def _refuse_unknown(told: Mapping[str, Any], known: set[str], table: str, path: Path) -> None:
    if unknown := sorted(set(told) - known):
        raise UsageError(f"{path}: [{table}] {one_line(unknown[0], 60)} is not known")


def _are(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is kind for each in value)
