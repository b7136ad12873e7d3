"""What the page on models and files shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .fake_hub import FakeHub

PAGE = Path(__file__).parents[2] / "docs" / "models-and-files.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="core alone, without its docs")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def test_commands(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["org/name"] = {"model-Q4_0.gguf": b"a", "model-Q8_0.gguf": b"b"}
    (tmp_path / "empty").mkdir()
    main = f"{sys.executable} -c 'from tramontane.cli.main import main; main()'"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url,
                   "HF_HUB_OFFLINE": "0"}  # fmt: skip
    shown = [block for text in blocks("console") for block in text.split("$ ")[1:]]
    assert shown
    for block in shown:
        command, _, expected = block.partition("\n")
        done = subprocess.run(
            command.replace("tramontane", main),
            shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = (done.stdout + done.stderr).replace(hub.url, "https://huggingface.co")
        assert told == expected


def test_python(capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), {})
        for shown in re.findall(r"# (.*), \.\.\.$", block, re.M):
            assert shown in capsys.readouterr().out
