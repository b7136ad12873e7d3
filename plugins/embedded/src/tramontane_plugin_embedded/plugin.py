"""Offers the model file of this package; reading it is the business of others."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Model, hookimpl


@hookimpl
def models() -> Iterable[Model]:
    yield Model(
        name="embedded",
        aliases=("default",),
        summary="A tiny chat model: stories, small talk, tool calls, Tramontane's commands.",
        file="tramontane_plugin_embedded:model.gguf",
    )
