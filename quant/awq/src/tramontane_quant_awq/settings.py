"""The quantization configuration of AWQ, in the words of all its tools.

AutoAWQ: bits, group_size, zero_point, version. llm-awq and older: w_bit, q_group_size. GPTQModel:
checkpoint_format or format, sym.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.errors import CheckpointError

FORMS = ("gemm", "gemv", "gemv_fast", "llm-awq")
FAST = ("gemv_fast", "llm-awq")
BITS = (2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Settings:
    """group: columns that share a scale, -1 for all. symmetric: what the configuration says, or
    None."""

    bits: int
    group: int
    form: str
    symmetric: bool | None


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Raises CheckpointError for what cannot be read."""
    form = config.get("checkpoint_format") or config.get("format") or config.get("version")
    form = str(form or "gemm").lower().replace("_awq", "-awq")
    if config.get("backend") == "llm-awq":
        form = "llm-awq"
    if form not in FORMS:
        raise CheckpointError(
            f"version {form!r} is not known, or stored for one engine's kernels; use a version of "
            f"the model in one of {', '.join(FORMS)}"
        )
    bits = config.get("bits", config.get("w_bit"))
    group = config.get("group_size", config.get("q_group_size"))
    if not _whole(bits) or bits not in BITS or (bits != 4 and form != "gemm"):
        raise CheckpointError(
            f"{bits!r} bits with version {form} are not supported; gemm has {BITS[0]} to "
            f"{BITS[-1]}, the others have 4"
        )
    if not _whole(group) or not (group > 0 or group == -1):
        raise CheckpointError(f"group_size {group!r} must be positive, or -1 for all columns")
    assert isinstance(bits, int)
    assert isinstance(group, int)
    symmetric = config.get("sym")
    if symmetric is None and "zero_point" in config:
        symmetric = not config["zero_point"]
    return Settings(bits, group, form, symmetric)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
