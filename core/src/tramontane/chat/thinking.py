"""Whether a model reasons before it answers, and how much: what its template is told."""

from __future__ import annotations

from typing import Any

OFF = ("off", "none")


def thinking_variables(effort: str | None, thinking: bool | None = None) -> dict[str, Any]:
    """Variables of a chat template. effort: low, high, whatever it knows; "off" and "none" are no
    reasoning at all. thinking: on or off, the stronger of the two; None: as the effort says."""
    found: dict[str, Any] = {}
    if thinking is not None:
        found["enable_thinking"] = thinking
    if effort is not None:
        found.setdefault("enable_thinking", effort not in OFF)
        if effort not in OFF:
            found["reasoning_effort"] = effort
    return found
