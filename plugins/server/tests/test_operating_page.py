"""docs/operating.md names what there is: metrics, options, a key file, files of other programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tramontane_plugin_server.key_files import keys_of
from tramontane_plugin_server.metrics import Metrics
from tramontane_plugin_server.model_manager import Catalog
from tramontane_plugin_server.model_settings import ModelSettings
from tramontane_plugin_server.settings import Settings, read

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operating.md").read_text("utf-8")
TABLE = PAGE.partition("\n## Metrics\n")[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
"""(language, text) of each."""


def kinds() -> dict[str, str]:
    """Every metric that a server can show, with its kind."""
    metrics = Metrics(by_key=True)
    metrics.watch(Catalog(read(None, {}).models))
    return {
        family.name + "_total" * (family.type == "counter"): family.type
        for family in metrics.registry.collect()
    }


def test_the_page_has_every_metric() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", TABLE, re.MULTILINE)) == kinds()


def test_alerts_watch_metrics_that_there_are() -> None:
    named = set(re.findall(r"\b(?:tramontane|http)_\w+", "\n".join(re.findall(r"expr: .*", PAGE))))
    assert len(named) > 4
    assert {name.removesuffix("_bucket") for name in named} <= kinds().keys()


def test_options_on_the_page_are_options() -> None:
    named = {name.replace("-", "_") for name in re.findall(r"`--(?:no-)?([a-z-]+)", PAGE)}
    assert named <= {*Settings.model_fields, *ModelSettings.model_fields}


def test_the_key_file_on_the_page_is_one(tmp_path: Path) -> None:
    (block,) = [text for _, text in BLOCKS if "bob:" in text]
    path = tmp_path / "keys"
    path.write_text(block)
    assert {key.name for key in keys_of((), path)} == {"", "ann", "bob", "ci"}


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind in ("nginx", "")])
def test_braces_of_configurations_match(text: str) -> None:
    assert text.count("{") == text.count("}")


def test_the_proxy_waits_as_long_as_the_server() -> None:
    settings = read(None, {})
    assert re.findall(r"read_timeout (\d+)s", PAGE) == [f"{settings.request_timeout:.0f}"] * 2
    assert f"client_max_body_size {settings.max_body >> 20}m;" in PAGE


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (DOCS / target).exists()
