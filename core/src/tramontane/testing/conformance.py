"""Which checks run for a distribution, and what each is run for."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tramontane.errors import PluginError
from tramontane.plugin import Architecture, Offer
from tramontane.registry import KINDS
from tramontane.tasks.task import in_engine

from .failures import shortened
from .target import Subject, unresolved

CHECKS = Path(__file__).parent / "checks"
REFERENCE = "reference"
"""The file with the checks that `--reference` adds; they run for architectures."""
MEDIA = "media"
"""The file with the checks of architectures that take images, sounds or videos."""
TASKS = "tasks"
"""The file with the checks of architectures that do not run in the engine."""
PROVABLE = ("architectures", "quantizers")
"""Kinds of which the kit alone cannot know that they are right."""
EQUAL = "tramontane_equal"
"""The property of a check that compares an offer, its value, with an independent implementation."""
DIFFERS = "tramontane_differs"
"""The property of a check that found an offer, its value, to compute something else."""
GGUF = "tramontane_gguf"
"""The property of a check that states what of a family's GGUF files was not compared, and why."""
EAGER = "tramontane_eager"
"""The property of a report that states why a model runs operation by operation."""
UNPROVEN = "not proven equal to an independent implementation: "
GGUF_ADVICE = (
    "run with --reference transformers, or read a file of llama.cpp's converter; see "
    '"GGUF files of your own" in docs/writing-an-architecture.md'
)


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
        offers = subject.offers("architectures")
        if len(others := outside(offers)):
            parts.append(TASKS)
        if offers and len(others) == len(offers):
            parts.remove("architectures")
        if seeing(offers):
            parts.append(MEDIA)
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
        failed = _properties(EQUAL, stats.get("failed", ()))
        for reason in sorted(_properties(EAGER, stats.get("passed", ()))):
            terminalreporter.write_line(
                f"not on the recorded step, so slower: {reason}; "
                'see "Operations that keep the fast step" in docs/writing-an-architecture.md'
            )
        differ = _properties(DIFFERS, stats.get("failed", ()))
        if differ:
            terminalreporter.write_line(
                "compared with an independent implementation, and it differs: "
                + ", ".join(sorted(differ))
            )
        unproven = self.unproven(passed - failed | differ)
        if unproven:
            terminalreporter.write_line(
                f"{UNPROVEN}{', '.join(unproven)}; "
                + " ".join(_advice(kind) for kind in PROVABLE if self._names(kind) & {*unproven})
            )
        for reason in self._unproven_files(stats):
            terminalreporter.write_line(f"{UNPROVEN}{reason}")

    def _unproven_files(self, stats: Mapping[str, Sequence[object]]) -> list[str]:
        """Why GGUF files of each family were not compared with an independent implementation."""
        if self.reference is not None:
            reports = [*stats.get("passed", ()), *stats.get("skipped", ())]
            return sorted(_properties(GGUF, reports))
        offers = self.subject.offers("architectures")
        others = outside(offers)
        read = [offer for offer in offers if reads_gguf(offer) and offer not in others]
        return [f"{offer.name} from gguf; {GGUF_ADVICE}" for offer in read]

    def unproven(self, equal: set[str]) -> list[str]:
        """Names of the offers that need a comparison with another implementation and had none."""
        return sorted(set().union(*map(self._names, PROVABLE)) - equal)

    def _names(self, kind: str) -> set[str]:
        return {offer.name for offer in self.subject.offers(kind)}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Frames of the kit say nothing to an author; `--full-trace` shows them."""
        report = yield
        asked = item.config.getoption("fulltrace") or item.config.getoption("tbstyle") == "no"
        if call.excinfo is not None and report.failed and self._is_check(item) and not asked:
            report.longrepr = shortened(call.excinfo, self.subject.files())  # type: ignore[assignment]
        return report

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A target that is misspelt is one failure, not one of every check."""
        offer = getattr(getattr(item, "callspec", None), "params", {}).get("offer")
        if not self._is_check(item) or item.path.stem == "distribution":
            return
        if isinstance(offer, Architecture) and (wrong := unresolved(offer)):
            pytest.skip(wrong[0])

    def _is_check(self, item: pytest.Item) -> bool:
        return item.path.parent == CHECKS

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
            of_media = own == MEDIA
            of_tasks = own == TASKS
            own = "architectures" if own in (REFERENCE, MEDIA, TASKS) else own
            kinds = [own] if own in KINDS else subject.kinds()
            offers = [offer for kind in kinds for offer in subject.offers(kind)]
            others = outside(offers)
            if of_tasks:
                offers = others
            elif own == "architectures":
                offers = [offer for offer in offers if offer not in others]
            offers = seeing(offers) if of_media else offers
            metafunc.parametrize("offer", offers, ids=[offer.name for offer in offers])


def seeing(offers: Iterable[Offer]) -> list[Offer]:
    """The architectures among them that take media."""
    return [offer for offer in offers if isinstance(offer, Architecture) and offer.media]


def outside(offers: Iterable[Offer]) -> list[Offer]:
    """The architectures among them that do not run in the engine."""
    return [
        offer
        for offer in offers
        if isinstance(offer, Architecture) and not unresolved(offer) and not in_engine(offer)
    ]


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


def reads_gguf(offer: Offer) -> bool:
    """Whether a GGUF file may name an architecture."""
    from .containers import installed_containers

    return bool(offer.aliases) and any(each.dialect == "gguf" for each in installed_containers())


def _advice(kind: str) -> str:
    if kind == "architectures":
        return "run with --reference transformers."
    return "give the quantizer decode=."
