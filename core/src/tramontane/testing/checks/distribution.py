"""What every distribution must be, whatever it offers."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from importlib.metadata import EntryPoint

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tramontane.plugin import Offer, load
from tramontane.registry import CORE, EVENTS, Registry, canonical
from tramontane.testing.conformance import Conformance
from tramontane.testing.import_cost import heavy_imports
from tramontane.testing.target import Subject, targets, unresolved


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Subject:
    """The distribution under test."""
    conformance = request.config.pluginmanager.get_plugin(Conformance.NAME)
    assert isinstance(conformance, Conformance)
    return conformance.subject


def test_metadata_can_be_read(subject: Subject) -> None:
    assert subject.distribution.name
    Version(subject.distribution.version)


def test_it_states_the_core_that_it_was_written_for(subject: Subject) -> None:
    needs = [Requirement(line) for line in subject.distribution.requires or ()]
    cores = [need for need in needs if canonical(need.name) == CORE]
    advice = f'dependencies in pyproject.toml need "{CORE}~=X.Y.Z", the core it was tested with'
    assert cores, f"no requirement of {CORE}; {advice}"
    open_ended = [str(need) for need in cores if need.specifier.contains("9999")]
    assert not open_ended, f"{open_ended} accepts any later core; {advice}"


def test_importing_the_plugin_is_light(module: str) -> None:
    heavy = heavy_imports(f"import {module}")
    assert not heavy, f"importing {module} loads {heavy}: put what needs them behind a target"


def test_an_advertised_name_is_offered(advertised: tuple[str, EntryPoint]) -> None:
    kind, entry = advertised
    registry = Registry([entry.dist.name] if entry.dist else None)
    if kind == EVENTS:
        registry.listener(entry)
    else:
        registry.offer(kind, entry)  # its error says which name, and what is offered instead


def test_an_offered_name_is_advertised(subject: Subject, kind: str) -> None:
    advertised = set(subject.registry.names(kind))
    offered = {name for offer in subject.offers(kind) for name in (offer.name, *offer.aliases)}
    assert offered <= advertised, (
        f"{sorted(offered - advertised)} can never be found: pyproject.toml needs an entry point "
        f'for each under [project.entry-points."tramontane.{kind}"]'
    )


def test_no_other_distribution_offers_the_name(
    advertised: tuple[str, EntryPoint], subject: Subject
) -> None:
    kind, entry = advertised
    if kind == EVENTS:  # anybody may listen
        return
    found = [other for other in Registry().entries(kind) if other.name == entry.name]
    others = {other.dist.name for other in found if other.dist} - {subject.distribution.name}
    assert not others, f"{entry.name!r} ({kind}) is offered by {sorted(others)} too"


def test_targets_resolve(offer: Offer, subject: Subject) -> None:
    wrong = unresolved(offer)
    assert not wrong, f"the plugin {subject.distribution.name}: {'; '.join(wrong)}"
    for field, target in targets(offer).items():
        assert load(target) is not None, f"{offer.name}: {field}={target!r} is None"


def test_a_record_is_a_plain_value(offer: Offer) -> None:
    assert offer.name == offer.name.strip() != "", "a name must be said by people and files"
    assert isinstance(hash(offer), int)
    assert pickle.loads(pickle.dumps(offer)) == offer, "worker processes are sent records"
    with pytest.raises(FrozenInstanceError):
        offer.name = "another"  # type: ignore[misc]
