"""The quantization configuration of a single layer, with the overrides of `dynamic`.

`dynamic` maps patterns to settings; the first that matches the layer's path counts. "-:" before a
pattern leaves layers out, "+:" or nothing changes their settings. A pattern without special
characters is a path, any other a regular expression that matches the path's beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.errors import CheckpointError
from tramontane.sanitize import one_line

FORMS = ("gptq", "gptq_v2", "gptq_p")
BITS = (2, 3, 4, 5, 6, 7, 8)
SPLIT = (5, 6, 7)
"""Codes of so many bits are in planes whatever the format is called."""
SPECIAL = ".^$*+?{}[]()|\\"
WORDS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
DTYPES = ("float16", "bfloat16", "float32")
FOR_ANOTHER_ENGINE = {
    "marlin", "marlin_24", "bitblas", "exllama", "exllamav2", "exl3", "qqq", "vptq", "gguf", "fp8",
    "bitsandbytes",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Of one layer. group: columns that share a scale, -1 for all. symmetric: what the
    configuration says, or None. act_order: whether groups may be anywhere."""

    bits: int
    group: int
    form: str
    symmetric: bool | None
    act_order: bool

    @property
    def planar(self) -> bool:
        """Whether codes of 32 columns are in planes; else they are a stream of bits."""
        return self.bits in SPLIT or (self.form == "gptq_p" and self.bits == 3)


def settings_of(config: Mapping[str, Any], path: str) -> Settings:
    """Raises CheckpointError for what cannot be read."""
    said = {**config, **_own(config.get("dynamic"), path)}
    form = said.get("checkpoint_format") or said.get("format") or "gptq"
    if said.get("is_marlin_format"):
        form = "marlin"
    if form not in FORMS:
        raise CheckpointError(_no_form(form))
    bits, group = said.get("bits"), said.get("group_size", -1)
    if not _whole(bits) or bits not in BITS:
        raise CheckpointError(f"{bits!r} bits is not one of {', '.join(map(str, BITS))}")
    if not _whole(group) or not (group > 0 or group == -1):
        raise CheckpointError(f"group_size {group!r} must be positive, or -1 for all columns")
    word = str(said.get("pack_dtype") or "int32").removeprefix("torch.")
    settings = Settings(bits, group, form, said.get("sym"), bool(said.get("desc_act")))
    if word not in WORDS or (WORDS[word] != 32 and (bits == 3 or settings.planar)):
        raise CheckpointError(
            f"pack_dtype {word!r} with {bits} bits is not supported; quantize it with int32"
        )
    if adapter := said.get("adapter"):
        raise CheckpointError(
            f"an adapter is to be added to it ({one_line(repr(adapter), 80)}), which is not "
            "supported; merge it into the weights before they are quantized"
        )
    return settings


def _own(dynamic: Any, path: str) -> Mapping[str, Any]:
    """What `dynamic` says of a layer."""
    if dynamic is None:
        return {}
    if not isinstance(dynamic, Mapping):
        raise CheckpointError(f"dynamic must be an object, not {one_line(repr(dynamic), 60)}")
    for pattern, settings in dynamic.items():
        if not _matches(str(pattern), path):
            continue
        if str(pattern).startswith("-:"):
            raise CheckpointError(
                f"dynamic leaves it out ({pattern!r}), and yet it has codes; delete that line, or "
                "take the layer's weight from the original model"
            )
        if not isinstance(settings, Mapping):
            raise CheckpointError(
                f"dynamic[{pattern!r}] must be an object, not {one_line(repr(settings), 60)}"
            )
        return settings
    return {}


def _matches(pattern: str, path: str) -> bool:
    raw = pattern[2:] if pattern.startswith(("+:", "-:")) else pattern
    if not any(letter in SPECIAL for letter in re.sub(r"\\\W", "", raw)):
        return re.sub(r"\\(\W)", r"\1", raw) == path
    try:
        return re.match(raw, path) is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise CheckpointError(f"dynamic has a pattern that cannot be read: {pattern!r}") from error


def _no_form(form: Any) -> str:
    why = "is stored for one engine's kernels" if form in FOR_ANOTHER_ENGINE else "is not known"
    return (
        f"checkpoint_format {form!r} {why}; use a version of the model in one of "
        f"{', '.join(FORMS)}, or save it as gptq with the tool that made it"
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def dtype_of(model: Mapping[str, Any] | None, stored: str) -> str:
    """The dtype in which the format's library computes: the model's, or that of the scales."""
    said = (model or {}).get("dtype") or (model or {}).get("torch_dtype")
    name = str(said).removeprefix("torch.")
    return name if name in DTYPES else stored.removeprefix("torch.")
