"""The files in docs/deploy name what there is: metrics, settings, options."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import httpx2 as httpx
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
