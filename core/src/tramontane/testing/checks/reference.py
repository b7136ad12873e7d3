"""What `--reference` adds for a model family: logits equal to another implementation's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.system.devices import REFERENCE, choose_device
from tramontane.testing.compare import LogitsDiffer, NoReference, compare
from tramontane.testing.compare_gguf import compare_gguf
from tramontane.testing.conformance import DIFFERS, EQUAL, GGUF, Conformance, reads_gguf
from tramontane.testing.defaults import wrong_defaults

Property: TypeAlias = Callable[[str, object], None]


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> str:
    """What `--reference` names."""
    conformance = request.config.pluginmanager.get_plugin(Conformance.NAME)
    assert isinstance(conformance, Conformance)
    assert conformance.reference is not None
    return conformance.reference


@pytest.mark.parametrize("device", [REFERENCE, "auto"])
def test_logits_are_those_of_the_reference(
    offer: Architecture,
    device: str,
    reference: str,
    record_property: Property,
) -> None:
    record_property(EQUAL, offer.name)
    if device == "auto":
        device = choose_device(device, Registry())[0].name
        if device == REFERENCE:
            pytest.skip("no backend is installed, or none finds a device")
    try:
        compare(offer, reference, device=device)
    except LogitsDiffer:
        record_property(DIFFERS, offer.name)
        raise


def test_a_missing_key_means_what_it_means_to_the_reference(
    offer: Architecture, reference: str
) -> None:
    try:
        wrong = wrong_defaults(offer, reference)
    except NoReference as error:
        pytest.skip(str(error))
    assert not wrong, "; ".join(wrong.values())


def test_a_gguf_file_gives_the_logits_of_the_reference(
    offer: Architecture, reference: str, record_property: Property
) -> None:
    if not reads_gguf(offer):
        pytest.skip("no alias that a GGUF file could have, or tramontane-quant-gguf is missing")
    try:
        found = compare_gguf(offer, reference)
    except LogitsDiffer:
        record_property(DIFFERS, f"{offer.name} from gguf")
        raise
    except NoReference as error:
        said = str(error)
        said = said if said.startswith(offer.name) else f"{offer.name} from gguf: {said}"
        record_property(GGUF, said)
        pytest.skip(said)
    if not found.proven:
        record_property(GGUF, str(found))
