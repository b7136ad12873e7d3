"""LoRA and X-LoRA: their options as `--lora`, and what ordering files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

from .parse import Given


def options(given: Given, command: str) -> dict[str, Any]:
    """Our options of the adapters that are named. Raises UsageError."""
    mixture = given.value("xlora_model_id", "xlora")
    static = given.value("adapters_model_id", "legacy_lora")
    named = [_named(text) for text in given.all("lora")]
    if sum(map(bool, (mixture, static, named))) > 1:
        raise UsageError("--lora, --legacy-lora and --xlora exclude each other; give one")
    order = given.value("order", "xlora_order", "legacy_lora_order")
    if mixture is not None:
        if order is None:
            raise UsageError("an X-LoRA needs its ordering file: -o FILE")
        return {"lora": [f"xlora={mixture}"], "xlora_order": order}
    if given.value("tgt_non_granular_index") is not None:
        raise UsageError("--tgt-non-granular-index is of an X-LoRA, and none is named")
    if static is not None:
        found = {"lora": _static(str(static), order)}
        # theirs are part of the model, so no request chooses them
        return {**found, "lora_merge": True} if command == "serve" else found
    if order is not None:
        raise UsageError(f"{order} orders adapters, and none are named")
    return {"lora": named} if named else {}


def base_of(given: Given) -> str | None:
    """The model that an ordering file says its adapters are of."""
    order = given.value("order", "xlora_order")
    base = None if order is None else _read(order).get("base_model_id")
    return base if isinstance(base, str) and base else None


def _named(text: str) -> str:
    """ALIAS=SOURCE of --lora, or of its JSON."""
    if not text.lstrip().startswith("{"):
        if not all(text.partition("=")):
            raise UsageError(f"--lora {text}: as ALIAS=SOURCE, tales=org/tales")
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--lora {text}: not JSON: {error}") from error
    alias, place = value.get("alias"), value.get("source")
    if not (isinstance(alias, str) and isinstance(place, str) and alias and place):
        raise UsageError(f'--lora {text}: an object with "alias" and "source"')
    if value.get("revision") is not None:
        raise UsageError(
            f"--lora {alias}: adapters are taken at the newest revision; pull another with "
            f"tramontane pull {place} --revision ..., and name its folder"
        )
    return f"{alias}={place}"


def _static(model: str, order: Any) -> list[str]:
    """Adapters by name: those of an ordering file, each in a folder of its own, or several that are
    divided by ";"."""
    places = [place.strip() for place in model.split(";") if place.strip()]
    if order is None:
        return [f"adapter-{index}={place}" for index, place in enumerate(places, 1)]
    names = _read(order).get("order")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UsageError(f'{order} has no "order", a list of names of adapters')
    folder = Path(model).expanduser()
    found = []
    for name in names:
        if (folder / name / "adapter_config.json").is_file():
            found.append(f"{name}={folder / name}")
        elif len(names) == 1:
            found.append(f"{name}={model}")
        else:
            raise UsageError(
                f"{order} names {len(names)} adapters, and {model} is no folder with one called "
                f"{name}: download it, and give the folder"
            )
    return found


def _read(order: Any) -> dict[str, Any]:
    try:
        value = json.loads(Path(str(order)).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the ordering file {order} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"the ordering file {order} should be a JSON object")
    return value
