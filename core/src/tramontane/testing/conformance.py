"""Which checks run for a distribution, and what each is run for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tramontane.errors import PluginError
from tramontane.registry import KINDS

from .subject import Subject

CHECKS = Path(__file__).parent / "checks"


class Conformance:
    """The pytest plugin that `--tramontane DIST` switches on.

    The checks are test functions in `checks/`: distribution.py, and one file for each kind that
    the distribution offers. Those that take `offer` run once for each offer.
    """

    NAME = "tramontane-conformance"

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @classmethod
    def of(cls, name: str, config: pytest.Config) -> Conformance:
        """For an installed distribution; its checks take the place of the tests found here,
        unless some were asked for by path."""
        try:
            subject = Subject.find(name)
        except PluginError as error:
            raise pytest.UsageError(f"--tramontane: {error}") from error
        files = [str(CHECKS / f"{part}.py") for part in ("distribution", *subject.kinds())]
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args.clear()
        config.args.extend(files)
        return cls(subject)

    def pytest_report_header(self) -> str:
        found = self.subject.distribution
        return f"tramontane: {found.name} {found.version}: {', '.join(self.subject.kinds())}"

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
            kinds = [own] if own in KINDS else subject.kinds()
            offers = [offer for kind in kinds for offer in subject.offers(kind)]
            metafunc.parametrize("offer", offers, ids=[offer.name for offer in offers])
