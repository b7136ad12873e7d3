"""The example of the page on X-LoRA does what it says."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
from tramontane import LLM

from .conftest import Cli

PAGE = Path(__file__).parents[1] / "docs/x-lora.md"
FENCE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_example_does_what_the_page_says(
    tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FENCE.findall(PAGE.read_text("utf-8")):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    printed = []
    for line in (tmp_path / "commands").read_text().splitlines():
        program, *words = shlex.split(line)
        if program == "python":
            runpy.run_path(words[0])
            continue
        status, out, err = run(*words)
        assert status == 0, err
        printed.append(out.strip())
    with LLM(adapters={"mix": "mix", "noise": "mix/noise"}) as llm:
        asked = {"temperature": 0, "max_tokens": 20}
        alone = llm.chat("Tell me a story about a dog.", **asked).text
        plain = llm.chat("Tell me a story about a dog.", adapter="mix", **asked).text
    assert alone.startswith("Once upon a time")
    assert printed[0] == plain.strip() != alone
    assert printed[1].startswith("Once upon a time")
    wrong = "run default --lora mix/noise --tgt-non-granular-index 3 -i x"
    status, _, err = run(*shlex.split(wrong))
    assert (status, "is for an X-LoRA, and none of the adapters is one" in err) == (1, True), err
