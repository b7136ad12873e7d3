"""Offers the model folder of this package; reading it is the business of others."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Model, hookimpl


@hookimpl
def models() -> Iterable[Model]:
    yield Model(
        name="embedded-vision",
        summary="A tiny model that names colours, shapes and digits in drawn pictures.",
        file="tramontane_plugin_embedded_vision:model",
    )
