"""`pytest --tramontane DIST`: the option, and nothing else unless it is given."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("tramontane", "conformance of Tramontane plugins").addoption(
        "--tramontane",
        metavar="DIST",
        help="check everything that the installed distribution DIST offers to Tramontane",
    )


def pytest_configure(config: pytest.Config) -> None:
    if name := config.getoption("--tramontane"):
        from .conformance import Conformance

        config.pluginmanager.register(Conformance.of(name, config), Conformance.NAME)
