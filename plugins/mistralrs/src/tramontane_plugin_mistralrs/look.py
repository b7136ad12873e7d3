"""A look at a model before it runs: whether it is what the command line says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model
from tramontane.registry import Registry

from .plan import Check, Plan


def look(plan: Plan, debug: bool) -> list[str]:
    """Compare each model with what is said of it; downloads it, where it has to be, as running it
    would. Returns what was written for debugging. Raises UsageError, ModelNotFound."""
    registry = Registry.from_environment()
    said = []
    for check in plan.checks:
        path = find_model(check.model, registry, _hub(plan))
        _compare(check, path)
    if debug:
        from .debug_tensors import write_tensors

        for model in plan.models or [plan.options]:
            path = find_model(str(model["model"]), registry, _hub(plan))
            if path.is_file():
                said.append(f"wrote {write_tensors(path, registry)}")
    return said


def _hub(plan: Plan) -> HubOptions:
    cache = plan.loading.get("hf_cache")
    return HubOptions(
        token_source=str(plan.loading.get("token_source", "cache")),
        cache_dir=None if cache is None else Path(cache),
    )


def _compare(check: Check, path: Path) -> None:
    if path.is_file():
        return
    if check.name == "run":
        if (path / "model_index.json").is_file():
            raise UsageError(f"{check.model} makes images: mistralrs-server diffusion -m MODEL")
        if _config(path).get("model_type") == "dia":
            raise UsageError(f"{check.model} speaks: mistralrs-server speech -m MODEL -a dia")
        return
    found = _config(path).get("architectures")
    if check.classes and isinstance(found, list) and found and found[0] not in check.classes:
        raise UsageError(
            f"-a {check.name}: {check.model} is of {found[0]}, which is another architecture; "
            "leave -a out to have it found"
        )


def _config(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # loading says what is wrong with it
    return value if isinstance(value, dict) else {}
