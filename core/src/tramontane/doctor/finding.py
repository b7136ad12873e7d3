"""What a look at one thing found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """warning: it works, slower or with less. problem: something will fail."""

    topic: str
    status: Status
    message: str
    remedy: str = ""
    """The way out, for what is not ok."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """The same as values, for `--json`."""
