"""Set-up for every test here; distributions installed aside, and processes that see them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tramontane.cli.main import main

# Tiny models gain nothing from threads, and threads that wait in a loop cost what else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
DISTS = ROOT / "tests" / "dists"
Install = Callable[..., Path]
Cli = Callable[..., tuple[int, str, str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """(folders of distributions) -> the folder that they were installed into."""

    def install(*folders: Path) -> Path:
        target = tmp_path_factory.mktemp("installed")
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        offline = ["--no-index", "--no-deps", "--no-build-isolation"]
        copies = [_copied(folder, tmp_path_factory.mktemp("source")) for folder in folders]
        subprocess.run([*pip, *offline, "--target", target, *copies], check=True, timeout=300)
        return target

    return install


@pytest.fixture(autouse=True)
def forget_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Distributions installed aside are imported anew by the next test: another may have the same
    name, and other contents."""
    yield
    aside = str(tmp_path_factory.getbasetemp())
    for name, module in sys.modules.copy().items():
        if (getattr(module, "__file__", None) or "").startswith(aside):
            del sys.modules[name]


def _copied(folder: Path, to: Path) -> Path:
    """A build must leave nothing in the working tree."""
    return Path(shutil.copytree(folder, to / folder.name))


@pytest.fixture(scope="session")
def mini_dists(install: Install) -> Path:
    """Where all distributions of tests/dists are installed together."""
    return install(*sorted(path.parent for path in DISTS.glob("*/pyproject.toml")))


@pytest.fixture(scope="session")
def python() -> Run:
    """(arguments, path=folder, NAME=value) -> a finished process; None takes a variable away."""

    def run(*arguments: str, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        # one folder for each process: this session's own may list less than what is installed
        inherited = {key: os.environ[key] for key in os.environ if key != "TRAMONTANE_PLUGINS"}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**inherited, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process: status, output, errors. Input is what is piped in."""

    def call(*arguments: str | Path, piped: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse
            status = int(leaving.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model."""
    from .tiny import write_model  # the kit's sessions load this file, and not as a package

    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder)
    return folder
