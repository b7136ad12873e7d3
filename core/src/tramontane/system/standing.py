"""Backends that stand on another: its targets where they have none, and their products in it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tramontane.errors import ConfigError
from tramontane.plugin import Backend, load
from tramontane.registry import Registry

if TYPE_CHECKING:
    from tramontane.backend import Prepare

SHARED = ("prepare", "pack", "translate", "expect", "multiply", "bind", "foresee", "keep")
"""Targets that a backend has of the one that it stands on."""


def can_stand(offer: Backend, registry: Registry) -> bool:
    """Whether what a backend stands on is installed."""
    return not offer.stands_on or offer.stands_on in registry.names("backends")


def completed(offer: Backend, registry: Registry) -> Backend:
    """A backend with the targets of what it stands on.

    Raises PluginNotInstalled where that is not installed, ConfigError where it stands on another
    itself, or takes no products.
    """
    if not offer.stands_on:
        return offer
    base = registry.get(Backend, offer.stands_on)
    if base.stands_on:
        raise ConfigError(
            f"the backend {offer.name!r} stands on {base.name!r}, which stands on "
            f"{base.stands_on!r} itself; name that one"
        )
    if offer.products is not None and offer.prepare is None and not base.takes_products:
        raise ConfigError(
            f"the backend {offer.name!r} has products for {base.name!r}, which takes none"
        )
    own = {name: getattr(offer, name) or getattr(base, name) for name in SHARED}
    return replace(offer, **own)


def preparing(backend: Backend) -> Prepare:
    """What prepares a model for a backend that is `completed`, its products with it."""
    assert backend.prepare is not None
    prepare = load(backend.prepare)
    if backend.products is None:
        return prepare  # type: ignore[no-any-return]
    products = load(backend.products)

    def with_products(model: Any, device: Any, threads: int | None, activations: str) -> Any:
        told = {"device": device, "threads": threads, "activations": activations}
        return prepare(model, device, threads, activations, products=partial(products, **told))

    return with_products
