"""integrations/llm-tramontane in the real `llm`: its command line, and its Python."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import llm
import pytest
from click.testing import CliRunner
from llm.cli import cli
from llm.plugins import pm
from PIL import Image

HOME = Path(__file__).parents[2] / "integrations/llm-tramontane"


@pytest.fixture(scope="module")
def plugin() -> Iterator[ModuleType]:
    """The module that the entry point names, as llm takes it."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    (name,) = project["entry-points"]["llm"].values()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HOME)
        module = __import__(name)
        pm.register(module)
        yield module
        pm.unregister(module)
    for model in ("default", "embedded-vision"):
        module.opened(model).close()


def told(*arguments: str, home: Path) -> str:
    done = CliRunner().invoke(
        cli, arguments, env={"LLM_USER_PATH": str(home)}, catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_it_is_short() -> None:
    assert len((HOME / "llm_tramontane.py").read_text("utf-8").splitlines()) < 80


def test_models_are_listed(plugin: ModuleType, tmp_path: Path) -> None:
    lines = told("models", "-q", "tramontane", home=tmp_path).splitlines()
    assert {"Tramontane: tramontane/default", "Tramontane: tramontane/embedded-vision"} <= {*lines}


def test_a_prompt_with_options_and_its_log(plugin: ModuleType, tmp_path: Path) -> None:
    line = ("-m", "tramontane/default", "Tell me a story", "-o", "temperature", "0")
    short = told(*line, "-o", "max_tokens", "6", home=tmp_path)
    whole = told(*line, "-o", "max_tokens", "6", "--no-stream", home=tmp_path)
    asked = [{"role": "user", "content": "Tell me a story"}]
    expected = plugin.opened("default").chat(asked, temperature=0, max_tokens=6).content
    assert short.strip() == whole.strip() == expected.strip()
    (last,) = json.loads(told("logs", "--json", "-n", "1", home=tmp_path))
    assert last["model"] == "tramontane/default"
    assert last["output_tokens"] == 6
    more = told("-c", "And then?", "-o", "max_tokens", "3", home=tmp_path)
    assert more.strip()


def test_pieces_come_as_they_are_made(plugin: ModuleType) -> None:
    response = plugin.Tramontane("default").prompt("Tell me a story", max_tokens=8, temperature=0)
    pieces = list(response)
    assert len(pieces) > 3
    assert "".join(pieces) == response.text()
    assert response.usage().output == 8


def test_another_model_by_an_option(plugin: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"no model 'nothing-here'"):
        plugin.Tramontane("default").prompt("x", model="nothing-here").text()


def test_schemas_and_tools(plugin: ModuleType) -> None:
    model: Any = plugin.Tramontane("default")
    asked = "What is the weather in Lisbon?"
    value = json.loads(model.prompt(asked, schema=llm.schema_dsl("city, warm bool")).text())
    assert set(value) == {"city", "warm"}

    def get_weather(city: str) -> str:
        "The weather in a city."
        return "hail, 7 degrees"

    assert "hail" in model.chain(asked, tools=[get_weather], options={"temperature": 0}).text()


def test_attachments_if_the_model_sees(plugin: ModuleType) -> None:
    png = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(png, "PNG")
    picture = llm.Attachment(content=png.getvalue(), type="image/png")
    seen = plugin.Tramontane("embedded-vision").prompt(
        "What is this?", attachments=[picture], max_tokens=4, temperature=0
    )
    assert seen.text().strip()
    with pytest.raises(ValueError, match="does not support attachments"):
        plugin.Tramontane("default").prompt("What is this?", attachments=[picture])
