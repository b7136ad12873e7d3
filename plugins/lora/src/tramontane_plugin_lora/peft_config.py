"""`adapter_config.json` of peft: scales, and what is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import AdapterError
from tramontane.sanitize import one_line

from .patterns import LONGEST, MOST, PLAIN, STEPS, Pattern

CONFIG = "adapter_config.json"
OTHER_ARITHMETIC = (
    "layer_replication", "use_qalora", "use_bdlora", "arrow_config", "kasa_config",
    "velora_config", "monteclora_config", "alora_invocation_tokens", "megatron_config",
)  # fmt: skip
"""Settings that make another computation of it than low rank added to a weight."""
CHANGED_BASE = ("pissa", "olora", "loftq", "corda")
"""Ways to begin training that change the model's own weights."""
HIGHEST_RANK = 4096


class PeftConfig:
    """The settings of one adapter. Raises AdapterError for what cannot be."""

    def __init__(self, settings: Mapping[str, Any], path: Path) -> None:
        self.path, self._settings = path, settings
        kind = settings.get("peft_type", "LORA")
        if kind != "LORA":
            raise AdapterError(
                f"{path}: peft_type {one_line(repr(kind), 40)} is not supported; LORA is (with "
                "rsLoRA and DoRA), and XLORA"
            )
        for name in OTHER_ARITHMETIC:
            if settings.get(name):
                raise AdapterError(f"{path}: {name} is not supported; train without it, or merge")
        begun = settings.get("init_lora_weights")
        if isinstance(begun, str) and begun.partition("_")[0] in CHANGED_BASE:
            raise AdapterError(
                f"{path}: init_lora_weights {begun!r} has changed the model's own weights: save "
                "the adapter converted to LoRA (path_initial_model_for_weight_conversion)"
            )
        self.rslora = bool(settings.get("use_rslora"))
        self.dora = bool(settings.get("use_dora"))
        self.base = str(settings.get("base_model_name_or_path") or "")
        self._known: dict[str, Pattern] = {}
        self._left = [STEPS]
        self._ranks = self._pattern("rank_pattern")
        self._alphas = self._pattern("alpha_pattern")
        self._rank, self._alpha = self._number("r", 8), self._number("lora_alpha", 8)
        for name, rank in {"r": self._rank, **self._ranks}.items():
            if rank != int(rank):
                raise AdapterError(
                    f"{path}: the rank {one_line(name, 80)} should be a whole number, not {rank:g}"
                )

    @property
    def token_indices(self) -> Mapping[str, tuple[int, ...]]:
        """Rows of tables that are replaced, by the module's name."""
        given = self._settings.get("trainable_token_indices") or {}
        named = given if isinstance(given, Mapping) else {"embed_tokens": given}
        try:
            return {str(name): tuple(map(int, indices)) for name, indices in named.items()}
        except (TypeError, ValueError) as error:
            raise AdapterError(
                f"{self.path}: trainable_token_indices should be numbers of tokens"
            ) from error

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that are changed by their own names, and not by their modules'."""
        given = self._settings.get("target_parameters") or ()
        return tuple(map(str, given)) if isinstance(given, list) else ()

    def rank(self, module: str) -> int:
        return int(self._matched(self._ranks, module, self._rank))

    def scale(self, module: str, rank: int) -> float:
        """What B A of a module is multiplied with. rank: that of its matrices."""
        told = self.rank(module)
        if told != rank:
            raise AdapterError(
                f"{self.path}: {one_line(module, 120)} has rank {rank} in its tensors, and {told} "
                "by r and rank_pattern"
            )
        alpha = self._matched(self._alphas, module, self._alpha)
        return alpha / (math.sqrt(told) if self.rslora else told)

    def _pattern(self, name: str) -> dict[str, float]:
        given = self._settings.get(name) or {}
        if not isinstance(given, Mapping):
            raise AdapterError(f"{self.path}: {name} should be an object, not {given!r:.40}")
        if len(given) > MOST:
            raise AdapterError(
                f"{self.path}: {name} has {len(given)} patterns, and {MOST} are the most"
            )
        for key in given:
            if len(str(key)) > LONGEST:
                raise AdapterError(
                    f"{self.path}: the pattern {one_line(repr(key), 60)} has {len(str(key))} "
                    f"characters, and {LONGEST} are the most"
                )
        return {str(key): self._checked(f"{name}.{key}", value) for key, value in given.items()}

    def _number(self, name: str, absent: float) -> float:
        return self._checked(name, self._settings.get(name, absent))

    def _checked(self, name: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value > 0):
            raise AdapterError(
                f"{self.path}: {one_line(name, 80)} should be a number above 0, not {value!r:.40}"
            )
        return float(value)

    def _matched(self, patterns: Mapping[str, float], module: str, absent: float) -> float:
        """The value of the first pattern that is the module's path, or its end after a dot."""
        for key, value in patterns.items():
            plain = PLAIN.fullmatch(key) is not None
            if plain and (len(key) > len(module) or key[-1] not in (".", module[-1])):
                continue
            if self._is_of(key, module):
                return value
        return absent

    def _is_of(self, key: str, module: str) -> bool:
        try:
            if key not in self._known:
                self._known[key] = Pattern(key, self._left)
            return self._known[key].matches(module)
        except (ValueError, OverflowError, RecursionError, re.error) as error:
            raise AdapterError(
                f"{self.path}: the pattern {one_line(repr(key), 60)}: {one_line(str(error), 120)}"
            ) from error
