"""This server's own limits in its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from .settings import Settings

ANSWERS = ("n", "best_of")
TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Described(FastAPI):
    """FastAPI, whose description has the limits of `settings`."""

    settings: Settings

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            described = super().openapi()
            for shape in described["components"]["schemas"].values():
                for name, field in shape.get("properties", {}).items():
                    if name in ANSWERS:
                        _limit(field, self.settings.max_n)
                    elif name in TOKENS and self.settings.max_new_tokens is not None:
                        _limit(field, self.settings.max_new_tokens)
        found: dict[str, Any] = self.openapi_schema or {}
        return found


def _limit(field: dict[str, Any], most: int) -> None:
    for choice in _choices(field):
        if choice.get("type") == "integer" and "minimum" in choice:  # a request's, not an answer's
            choice["maximum"] = min(most, choice.get("maximum", most))
            if isinstance(field.get("default"), int):
                field["default"] = min(most, field["default"])


def _choices(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield field
    yield from field.get("anyOf", ())
