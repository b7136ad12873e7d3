"""Names and kinds of the figures, by the rules of Prometheus' own linter."""

from __future__ import annotations

import re
import shutil
import subprocess

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .live_server import Live


@pytest.fixture
def figures(live: Live) -> str:
    with live.client() as client:
        client.post("/v1/completions", json={"prompt": "Once", "max_tokens": 3})
    return httpx.get(f"{live.url}/metrics").text


def test_promtool_finds_nothing(figures: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=figures, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_same_rules_without_promtool(figures: str) -> None:
    families = {family.name: family for family in text_string_to_metric_families(figures)}
    assert len(families) > 20
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", figures, re.MULTILINE))
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert not name.endswith(("_count", "_sum", "_bucket", "_info", "_created")), name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert not re.search(r"counter|gauge|histogram|summary", name), name
        assert not re.search(r"_(ms|millis\w*|minutes|hours|bits|kb|mb|percent)(_|$)", name), name
        assert families[name.removesuffix("_total")].documentation, name
        for sample in families[name.removesuffix("_total")].samples:
            assert ("le" in sample.labels) == sample.name.endswith("_bucket"), sample
            assert "quantile" not in sample.labels
