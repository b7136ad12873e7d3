"""Backends that stand on another: whose targets they have, and what is said where they cannot."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from tramontane.backend import Device
from tramontane.doctor.extensions import devices
from tramontane.errors import ConfigError, PluginNotInstalled
from tramontane.native_product import NativeProduct
from tramontane.plugin import Backend
from tramontane.system.devices import accelerators, choose_device
from tramontane.system.standing import completed, preparing


def found() -> list[Device]:
    """A device of each of these backends."""
    sizes = {"memory_total": 1, "memory_free": 1}
    return [Device(name="above", torch_device="cpu", label="above", **sizes)]


def prepare(*told: Any, products: Any = None) -> dict[str, str]:
    made = None if products is None else products("a weight", "f32")
    return {"told": repr(told), "product": repr(made)}


def own_prepare(*told: Any) -> dict[str, str]:
    return {"own": repr(told)}


def products(weight: Any, form: str, **told: Any) -> Any:
    return weight, form, told


BASE = Backend(name="base", probe="p:p", prepare="m:prepare", pack="base:pack", takes_products=True)
ABOVE = Backend(name="above", probe="m:found", stands_on="base", products="m:products", bind="a:b")


class Plugins:
    """A registry of some backends."""

    def __init__(self, *offers: Backend) -> None:
        self.offers = {offer.name: offer for offer in offers}

    def names(self, kind: str) -> list[str]:
        return list(self.offers)

    def all(self, record: object) -> list[Backend]:
        return list(self.offers.values())

    def get(self, record: object, name: str) -> Backend:
        if name not in self.offers:
            raise PluginNotInstalled(f"no {name}", hint=f"pip install {name}")
        return self.offers[name]


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets' module."""
    made: Any = ModuleType("m")
    made.prepare, made.products, made.found = prepare, products, found
    made.own_prepare = own_prepare
    monkeypatch.setitem(sys.modules, "m", made)


def test_what_is_left_out_is_the_others() -> None:
    registry: Any = Plugins(BASE, ABOVE)
    whole = completed(ABOVE, registry)
    assert (whole.prepare, whole.pack, whole.bind) == ("m:prepare", "base:pack", "a:b")
    assert whole.probe == "m:found"
    assert completed(BASE, registry) is BASE
    device, offer = choose_device("above", registry)
    assert (device.name, offer) == ("above", whole)


def test_products_are_told_where_they_run() -> None:
    registry: Any = Plugins(BASE, ABOVE)
    act: Any = preparing(completed(ABOVE, registry))
    made = act("model", "device", 3, "f32")
    assert made["told"] == repr(("model", "device", 3, "f32"))
    told = {"device": "device", "threads": 3, "activations": "f32"}
    assert made["product"] == repr(("a weight", "f32", told))
    alone: Any = preparing(BASE)
    assert alone("model", "device", 3, "f32")["product"] == "None"


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (Backend(name="base", probe="p:p", prepare="p:p"), "takes none"),
        (Backend(name="base", probe="p:p", stands_on="third"), "stands on 'third' itself"),
    ],
)
def test_what_cannot_be_stood_on(base: Backend, said: str) -> None:
    registry: Any = Plugins(base, ABOVE)
    with pytest.raises(ConfigError, match=said):
        choose_device("above", registry)


def test_without_the_other_it_is_passed_over_and_named() -> None:
    registry: Any = Plugins(ABOVE)
    assert choose_device("auto", registry)[0].name == "reference"
    assert accelerators(registry) == []
    with pytest.raises(PluginNotInstalled, match="pip install base"):
        choose_device("above", registry)
    (finding,) = devices(registry)
    assert finding.status == "warning"
    assert "stands on the backend 'base'" in finding.message
    assert finding.remedy == "pip install tramontane-backend-base"


def test_an_offer_has_to_say_one_of_both() -> None:
    with pytest.raises(TypeError, match="neither prepare= nor stands_on="):
        Backend(name="acme", probe="p:p")
    with pytest.raises(TypeError, match="products= and no stands_on="):
        Backend(name="acme", probe="p:p", prepare="p:p", products="p:p")


@pytest.mark.parametrize("wrong", [{"panel": 0}, {"fewest": 0}, {"fewest": 2, "weight": object()}])
def test_a_product_that_contradicts_itself(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="acme"):
        NativeProduct(address=1, state=0, name="acme", **wrong)
