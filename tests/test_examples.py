"""The Python examples of README and docs run, in order, with the embedded model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md", "docs/structured-output.md"])
def test_examples_run(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "example"}
    for block in blocks:
        exec(compile(block, page, "exec", dont_inherit=True), names)
    assert len(capsys.readouterr().out) > 20
    if "llm" in names:
        names["llm"].close()  # type: ignore[attr-defined]
