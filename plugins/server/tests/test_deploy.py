"""The files in docs/deploy name what there is: metrics, settings, options."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import httpx2 as httpx
import pytest
import tramontane_plugin_top
from prometheus_client.parser import text_string_to_metric_families
from tramontane.cli.main import main
from tramontane_plugin_server.model_settings import ModelSettings
from tramontane_plugin_server.settings import Settings, read

from .live_server import Live

DOCS = Path(__file__).parents[3] / "docs"


def test_the_dashboard_shows_metrics_that_there_are(live: Live) -> None:
    board = json.loads((DOCS / "deploy/grafana.json").read_text())
    with live.client() as client:
        client.post("/v1/completions", json={"prompt": "Once", "max_tokens": 3})
    there = set(re.findall(r"^(\w+)[ {]", httpx.get(f"{live.url}/metrics").text, re.MULTILINE))
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expr in shown for name in re.findall(r"(?:tramontane|http)_\w+", expr)}
    assert len(named) > 10
    assert named <= there


def test_the_dashboard_asks_of_each_metric_what_its_kind_has(live: Live) -> None:
    """Rates are of counters, quantiles of buckets, and sums by labels that the metric has."""
    board = json.loads((DOCS / "deploy/grafana.json").read_text())
    with live.client() as client:
        client.post("/v1/completions", json={"prompt": "Once", "max_tokens": 3})
    families = list(text_string_to_metric_families(httpx.get(f"{live.url}/metrics").text))
    kinds = {sample.name: family.type for family in families for sample in family.samples}
    labels: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    for expr in (t["expr"] for panel in board["panels"] for t in panel["targets"]):
        names = re.findall(r"(?:tramontane|http)_\w+", expr)
        rated = set(re.findall(r"rate\((\w+)[{\[]", expr))
        for name in names:
            counted = kinds[name] in ("counter", "histogram")
            assert counted == (name in rated), expr
            assert name.endswith("_bucket") == ("histogram_quantile" in expr), expr
            for asked in re.findall(r"by \(([^)]*)\)", expr):
                assert set(re.split(r",\s*", asked)) <= labels[name], expr
    for shown in re.findall(r"{{(\w+)}}", json.dumps(board)):
        assert any(shown in found for found in labels.values()), shown


def test_top_shows_what_the_server_has(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRAMONTANE_API_KEY", raising=False)
    with live.client() as client:
        client.post("/v1/completions", json={"prompt": "Once", "max_tokens": 3})
    there = set(re.findall(r"^(\w+)[ {]", httpx.get(f"{live.url}/metrics").text, re.MULTILINE))
    package = Path(tramontane_plugin_top.__file__).parent
    source = (package / "frame.py").read_text()
    named = re.findall(
        r"(?:of|rate|share)\(\s*[\"']([a-z_]+)[\"'](?:, [\"']([a-z_]+)[\"'])?", source
    )
    figures = {name for pair in named for name in pair if name}
    assert len(figures) > 10
    assert {f"tramontane_{name}" for name in figures} - there <= {
        "tramontane_http_requests_in_flight"
    }
    assert main(["top", live.url, "--once", "--interval", "0.1"]) == 0
    frame = capsys.readouterr().out
    assert re.search(r"│ default +loaded +0 +0 ", frame), frame


def test_the_settings_file_is_one() -> None:
    assert read(DOCS / "deploy/server.toml", {}).access_log == "json"


def test_the_page_shows_a_settings_file_that_is_one() -> None:
    page = (DOCS / "serving.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert Settings(**tomllib.loads(block)).idle_unload == 900


def test_options_on_the_page_are_options() -> None:
    page = (DOCS / "serving.md").read_text()
    options = {name.replace("-", "_") for name in re.findall(r"`--(?:no-)?([a-z-]+)", page)}
    podman = {"format"}
    fields = {*Settings.model_fields, *ModelSettings.model_fields, "config"}
    assert options - podman <= fields


def test_the_unit_gives_answers_time_to_end() -> None:
    unit = (DOCS / "deploy/tramontane.service").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)", unit, re.MULTILINE)
    assert int(seconds) > read(None, {}).shutdown_timeout
