"""The Python examples of README and docs run, in order, with the embedded model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load.run import server

ROOT = Path(__file__).parents[1]


ADDRESS = "http://127.0.0.1:1234"
PAGES = [
    "README.md", "docs/python-api.md", "docs/serving.md", "docs/structured-output.md",
]  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server() as (url, _):
        yield url


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "example"}
    for block in blocks:
        text = block.replace(ADDRESS, url)
        exec(compile(text, page, "exec", dont_inherit=True), names)
    assert len(capsys.readouterr().out) > 20
    for name in {"llm", "client"} & names.keys():
        names[name].close()  # type: ignore[attr-defined]
