"""`pytest --tramontane DIST`: the options, and nothing else unless they are given."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tramontane", "conformance of Tramontane plugins")
    group.addoption(
        "--tramontane",
        metavar="DIST",
        help="check everything that the installed distribution DIST offers to Tramontane",
    )
    group.addoption(
        "--reference",
        metavar="transformers[:CLASS]",
        help="with --tramontane: compare the logits of each architecture that DIST offers with "
        "those of the class of that name in transformers, or of CLASS",
    )


def pytest_configure(config: pytest.Config) -> None:
    name, reference = config.getoption("--tramontane"), config.getoption("--reference")
    if reference and not name:
        raise pytest.UsageError(f"--reference {reference} needs --tramontane DIST")
    if name:
        from .conformance import Conformance

        config.pluginmanager.register(Conformance.of(name, config, reference), Conformance.NAME)
