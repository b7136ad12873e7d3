"""What `--reference` adds for a model family: logits equal to another implementation's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.system.devices import REFERENCE, choose_device
from tramontane.testing.compare import compare
from tramontane.testing.conformance import EQUAL, Conformance


@pytest.mark.parametrize("device", [REFERENCE, "auto"])
def test_logits_are_those_of_the_reference(
    offer: Architecture,
    device: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    conformance = request.config.pluginmanager.get_plugin(Conformance.NAME)
    assert isinstance(conformance, Conformance)
    assert conformance.reference is not None
    record_property(EQUAL, offer.name)
    if device == "auto":
        device = choose_device(device, Registry())[0].name
        if device == REFERENCE:
            pytest.skip("no backend is installed, or none finds a device")
    compare(offer, conformance.reference, device=device)
