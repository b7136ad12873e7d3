"""What a first run takes: torch's CPU build by its index, and steps that are shown."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAKE = """#!/bin/sh
# stands for `python -m venv`: its pip writes down what it is called with
case $* in
-m\\ venv*)
    mkdir -p "$3/bin"
    printf '#!/bin/sh\\necho "$@" >>"{calls}"\\nexit {status}\\n' >"$3/bin/pip"
    chmod +x "$3/bin/pip"
    ;;
esac
"""


def setup(tmp_path: Path, status: int = 0, **variables: str) -> tuple[list[str], str, int]:
    """What pip is called with by `./dev setup`, what is printed, and the exit status."""
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(FAKE.format(calls=calls, status=status))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = {k: v for k, v in os.environ.items() if k != "TORCH_INDEX"}
    environment |= {"PYTHON": str(python), "VENV": str(tmp_path / "venv"), **variables}
    done = subprocess.run(
        [ROOT / "dev", "setup"], env=environment, capture_output=True, text=True, timeout=60
    )
    return calls.read_text().splitlines(), done.stderr, done.returncode


def test_torch_comes_first_from_the_index_that_is_named(tmp_path: Path) -> None:
    calls, said, status = setup(tmp_path, TORCH_INDEX="https://wheels.example/cpu")
    assert status == 0
    assert "--index-url https://wheels.example/cpu" in calls[0]
    assert calls[0].endswith(" torch")
    assert not any("--index-url" in call for call in calls[1:])
    assert "pytorch.org" not in said


def test_without_an_index_none_is_named(tmp_path: Path) -> None:
    calls, _, _ = setup(tmp_path)
    assert not any("--index-url" in call for call in calls)


def test_every_step_is_shown_with_its_seconds(tmp_path: Path) -> None:
    _, said, _ = setup(tmp_path)
    assert re.findall(r"(\d)/3 .* \.\.\. \d+ s", said) == ["1", "2", "3"]


def test_a_step_that_fails_ends_the_setup(tmp_path: Path) -> None:
    calls, said, status = setup(tmp_path, status=1)
    assert len(calls) == status == 1
    assert "2/3 torch ... failed: " in said
    assert not (tmp_path / "venv/tramontane-stamp").exists()


@pytest.mark.parametrize(
    "name", ["docs/getting-started.md", "docs/deploy/Containerfile", "docs/operating.md", "dev"]
)
def test_instructions_name_the_cpu_build(name: str) -> None:
    text = " ".join((ROOT / name).read_text("utf-8").split())
    assert "PyTorch's CPU wheel index, see pytorch.org/get-started" in text
