"""A topology: a YAML file that says for layers, or for names, how to quantize and where to run.

0-8:                      # layers 0 to 7; of overlapping ranges the one that ends last wins
  isq: q3_k
9:
  isq: q6_k
  device: cpu
/lm_head/:                # a regular expression of weights' names, before all ranges
  isq: q8_0
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

DEVICE = re.compile(r"[a-z][\w-]*(?:\[\d+\]|:\d+)?")
LAYER = re.compile(r"\.(\d+)\.")
"""The number of a layer in a weight's path."""


@dataclass(frozen=True)
class Entry:
    """What holds for some weights. device: as `--device` takes it, "cpu" or "cuda:0"."""

    isq: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Topology:
    """ranges: (first layer, the one after the last, entry), later ones win; patterns as well."""

    path: Path
    ranges: tuple[tuple[int, int, Entry], ...] = ()
    patterns: tuple[tuple[re.Pattern[str], Entry], ...] = ()

    @property
    def quantizes(self) -> bool:
        """Whether it says a kind for anything, and not only devices."""
        return any(entry.isq is not None for entry in self._entries)

    @property
    def _entries(self) -> list[Entry]:
        ranges = [entry for _, _, entry in self.ranges]
        return ranges + [entry for _, entry in self.patterns]

    def isq(self, path: str) -> str | None:
        """The kind of a weight, by its path in the model; None where the file says nothing."""
        for pattern, entry in reversed(self.patterns):
            if entry.isq is not None and pattern.search(path):
                return entry.isq
        if (layer := LAYER.search(path)) is None:
            return None
        number = int(layer[1])
        inside = [entry for start, end, entry in self.ranges if start <= number < end]
        return inside[-1].isq if inside else None


def read_topology(path: Path) -> Topology:
    """Read a file. Raises UsageError that names the key."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"{path}: layers to their settings are wanted, such as 0-8: {{isq: q4_k}}")
    ranges, patterns = [], []
    for key, value in found.items():
        entry = _entry(path, key, value)
        text = str(key)
        if len(text) > 1 and text.startswith("/") and text.endswith("/"):
            try:
                patterns.append((re.compile(text[1:-1]), entry))
            except (re.error, RecursionError, OverflowError) as error:
                raise UsageError(f"{path}: {text} is no regular expression: {error}") from error
        else:
            ranges.append((*_range(path, text), entry))
    ranges.sort(key=lambda each: each[1])  # stable: of two that end alike the later wins
    return Topology(path, tuple(ranges), tuple(patterns))


def _range(path: Path, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text)
    if match is None:
        raise UsageError(f"{path}: {text!r} is no layer (9), layers (0-8) or /regular expression/")
    start = int(match[1])
    end = start + 1 if match[2] is None else int(match[2])
    if end <= start:
        raise UsageError(f"{path}: {text} has no layers: the second number is the one after them")
    return start, end


def _entry(path: Path, key: Any, value: Any) -> Entry:
    if not isinstance(value, Mapping):
        raise UsageError(f"{path}: {key}: isq or device are wanted, not {value!r:.60}")
    if unknown := set(map(str, value)) - {"isq", "device"}:
        raise UsageError(f"{path}: {key}: unknown key {min(unknown)}; there are isq and device")
    isq, device = value.get("isq"), value.get("device")
    if isq is not None and not isinstance(isq, str | int):
        raise UsageError(f"{path}: {key}: isq {isq!r:.60} is not a kind or a number of bits")
    if device is not None:
        if not isinstance(device, str) or not DEVICE.fullmatch(device):
            raise UsageError(
                f"{path}: {key}: device {device!r:.60} is not cpu, cuda[N] or metal[N]"
            )
        device = device.replace("[", ":").removesuffix("]")
    return Entry(None if isq is None else str(isq), device)
