"""Which checks run for a distribution, and what each is run for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tramontane.errors import PluginError
from tramontane.plugin import Architecture
from tramontane.registry import KINDS

from .target import Subject

CHECKS = Path(__file__).parent / "checks"
REFERENCE = "reference"
"""The file with the checks that `--reference` adds; they run for architectures."""
PROVABLE = ("architectures", "quantizers")
"""Kinds of which the kit alone cannot know that they are right."""
EQUAL = "tramontane_equal"
"""The property of a check that compares an offer, its value, with an independent implementation."""
EAGER = "tramontane_eager"
"""The property of a report that states why a model runs operation by operation."""


class Conformance:
    """The pytest plugin that `--tramontane DIST` switches on.

    The checks are test functions in `checks/`: distribution.py, and one file for each kind that
    the distribution offers. Those that take `offer` run once for each offer. reference: what
    `--reference` names, or None.
    """

    NAME = "tramontane-conformance"

    def __init__(self, subject: Subject, reference: str | None = None) -> None:
        self.subject, self.reference = subject, reference

    @classmethod
    def of(cls, name: str, config: pytest.Config, reference: str | None = None) -> Conformance:
        """For an installed distribution; its checks take the place of the tests found here,
        unless some were asked for by path. Raises pytest.UsageError."""
        try:
            subject = Subject.find(name)
        except PluginError as error:
            raise pytest.UsageError(f"--tramontane: {error}") from error
        parts = ["distribution", *subject.kinds()]
        if reference is not None:
            _check_reference(subject, reference)
            parts.append(REFERENCE)
        files = [str(CHECKS / f"{part}.py") for part in parts]
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args.clear()
        config.args.extend(files)
        return cls(subject, reference)

    def pytest_report_header(self) -> str:
        found = self.subject.distribution
        return f"tramontane: {found.name} {found.version}: {', '.join(self.subject.kinds())}"

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was compared with an independent implementation, and what was not."""
        stats = terminalreporter.stats
        passed = _properties(EQUAL, stats.get("passed", ()))
        for reason in sorted(_properties(EAGER, stats.get("passed", ()))):
            terminalreporter.write_line(
                f"not on the recorded step, so slower: {reason}; "
                'see "Operations that keep the fast step" in docs/writing-an-architecture.md'
            )
        unproven = self.unproven(passed - _properties(EQUAL, stats.get("failed", ())))
        if unproven:
            terminalreporter.write_line(
                f"not proven equal to an independent implementation: {', '.join(unproven)}; "
                + " ".join(_advice(kind) for kind in PROVABLE if self._names(kind) & {*unproven})
            )

    def unproven(self, equal: set[str]) -> list[str]:
        """Names of the offers that need a comparison with another implementation and had none."""
        return sorted(set().union(*map(self._names, PROVABLE)) - equal)

    def _names(self, kind: str) -> set[str]:
        return {offer.name for offer in self.subject.offers(kind)}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if not str(metafunc.definition.path).startswith(str(CHECKS)):
            return
        subject = self.subject
        if "advertised" in metafunc.fixturenames:
            entries = subject.advertised()
            names = [f"{kind}:{entry.name}" for kind, entry in entries]
            metafunc.parametrize("advertised", entries, ids=names)
        if "module" in metafunc.fixturenames:
            metafunc.parametrize("module", subject.modules())
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", subject.kinds())
        if "offer" in metafunc.fixturenames:
            own = metafunc.definition.path.stem
            own = "architectures" if own == REFERENCE else own
            kinds = [own] if own in KINDS else subject.kinds()
            offers = [offer for kind in kinds for offer in subject.offers(kind)]
            metafunc.parametrize("offer", offers, ids=[offer.name for offer in offers])


def _check_reference(subject: Subject, reference: str) -> None:
    from .compare import NoReference, reference_class

    offers = [offer for offer in subject.offers("architectures") if isinstance(offer, Architecture)]
    name = subject.distribution.name
    if not offers:
        raise pytest.UsageError(
            f"--reference {reference}: {name} offers no architecture, and nothing else is compared "
            "with one"
        )
    if ":" in reference and len(offers) > 1:
        listed = ", ".join(offer.name for offer in offers)
        raise pytest.UsageError(
            f"--reference {reference}: {name} offers {listed}, which cannot all be that class; "
            "without a class each is compared with that of its own name"
        )
    try:
        for offer in offers:
            reference_class(offer, reference)
    except NoReference as error:
        raise pytest.UsageError(str(error)) from error


def _properties(key: str, reports: Iterable[object]) -> set[str]:
    """The values that checks recorded under a key."""
    return {
        str(value)
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, value in report.user_properties
        if name == key
    }


def _advice(kind: str) -> str:
    if kind == "architectures":
        return "run with --reference transformers."
    return "give the quantizer decode=."
