"""Settings of an X-LoRA: `adapter_config.json` as peft has it, or `xlora_config.json` of the
library before it, which mistral.rs reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import AdapterError
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import SMALL, read_object

from .peft_config import CONFIG

OLD_CONFIG = "xlora_config.json"
MOST_ADAPTERS = 64
LARGEST = 1e6


def is_xlora(folder: Path) -> bool:
    """Whether a folder's files say so. Raises CheckpointError for a file that is no JSON."""
    if (folder / OLD_CONFIG).exists():
        return True
    config = folder / CONFIG
    return config.exists() and read_object(config, SMALL).get("peft_type") == "XLORA"


class XLoraConfig:
    """The settings. Raises AdapterError, CheckpointError for what cannot be."""

    def __init__(self, folder: Path) -> None:
        old = (folder / OLD_CONFIG).exists()
        self.path = folder / (OLD_CONFIG if old else CONFIG)
        self._settings: Mapping[str, Any] = read_object(self.path, SMALL)
        self.hidden = self._whole("hidden_size")
        self.depth = self._whole("xlora_depth", 1)
        self.softmax = self._flag("enable_softmax", True)
        self.softmax_kept = self._flag("enable_softmax_topk", False)
        self.layerwise = self._flag("layerwise_scalings", False)
        self.bias = self._flag("use_bias", True)
        self.relu = self._flag("enable_relu_and_dropout", False) if old else True
        self.temperature = self._number("softmax_temperature", 1.0)
        if self.temperature <= 0:
            raise self._wrong("softmax_temperature", self.temperature, "a number above 0")
        self.pass_value = self._number("scaling_pass_value", 0.0)
        self.weight = self._number("global_scaling_weight", 1.0)
        self.top_k: int | None = None
        if self._settings.get("top_k_lora") is not None:
            self.top_k = self._whole("top_k_lora")
        self.base = str(self._settings.get("base_model_name_or_path") or "")

    @property
    def adapters(self) -> dict[str, str]:
        """Where the adapters were when it was trained, by their names, in its order."""
        found = self._settings.get("adapters") or {}
        if not isinstance(found, Mapping):
            raise self._wrong("adapters", found, "folders by their adapters' names")
        if len(found) > MOST_ADAPTERS:
            raise AdapterError(f"{self.path}: {len(found)} adapters are more than {MOST_ADAPTERS}")
        return {str(name): str(at or "") for name, at in found.items()}

    def _flag(self, name: str, absent: bool) -> bool:
        found = self._settings.get(name, absent)
        if not isinstance(found, bool):
            raise self._wrong(name, found, "true or false")
        return found

    def _whole(self, name: str, absent: int | None = None) -> int:
        found = self._settings.get(name, absent)
        if type(found) is not int or found < 1:
            raise self._wrong(name, found, "a whole number from 1 on")
        return found

    def _number(self, name: str, absent: float) -> float:
        found = self._settings.get(name, absent)
        number = isinstance(found, int | float) and not isinstance(found, bool)
        if not number or not math.isfinite(found) or abs(found) > LARGEST:
            raise self._wrong(name, found, f"a number within {LARGEST:.0e}")
        return float(found)

    def _wrong(self, name: str, value: Any, wanted: str) -> AdapterError:
        return AdapterError(
            f"{self.path}: {name} should be {wanted}, not {one_line(repr(value), 40)}"
        )
