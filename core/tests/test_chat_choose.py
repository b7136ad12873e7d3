"""Which template wins, and what happens when there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat import choose_template, no_template
from tramontane.checkpoint.checkpoint import chat_templates
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import TemplateError
from tramontane.registry import Registry

from .tiny_folder import write_folder

NAMED = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]


def put(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_the_order(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    assert choose_template(None, None, None) is None
    assert choose_template(model, None, None) is None
    assert choose_template(model, "embedded", None) == "embedded"
    put(model, "chat_template.json", {"chat_template": "older"})
    assert choose_template(model, "embedded", None) == "older"
    put(model, "tokenizer_config.json", {"bos_token": "<s>"})
    assert choose_template(model, "embedded", None) == "older"
    put(model, "tokenizer_config.json", {"chat_template": "config"})
    assert choose_template(model, "embedded", None) == "config"
    put(model, "chat_template.jinja", "file\n")
    assert choose_template(model, "embedded", None) == "file\n"
    override = put(tmp_path, "mine.json", {"chat_template": "given"})
    assert choose_template(model, "embedded", override) == "given"
    explicit = put(tmp_path, "mine.txt", "explicit")
    assert choose_template(model, "embedded", override, jinja=explicit) == "explicit"
    assert choose_template(None, None, put(tmp_path, "mine.jinja", "given too")) == "given too"


@pytest.mark.parametrize(
    ("value", "tools", "expected"),
    [
        (NAMED, False, "plain"),
        (NAMED, True, "tools"),
        (NAMED[:1], True, "plain"),
        ({"default": "plain", "tool_use": "tools"}, True, "tools"),
        ("only", True, "only"),
    ],
)
def test_named_templates(value: Any, tools: bool, expected: str, tmp_path: Path) -> None:
    put(tmp_path, "tokenizer_config.json", {"chat_template": value})
    assert choose_template(tmp_path, None, None, tools=tools) == expected


def test_a_file_of_its_own_for_tools(tmp_path: Path) -> None:
    put(tmp_path, "chat_template.jinja", "plain")
    put(tmp_path, "additional_chat_templates/tool_use.jinja", "tools")
    assert choose_template(tmp_path, None, None, tools=True) == "tools"
    assert choose_template(tmp_path, None, None) == "plain"


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_a_folder_has_both_however_it_is_named(name: str, tmp_path: Path) -> None:
    write_folder(tmp_path)
    put(tmp_path, "tokenizer_config.json", {"chat_template": NAMED})
    checkpoint = open_checkpoint(tmp_path / name, Registry())
    try:
        assert chat_templates(checkpoint) == ("plain", "tools")
    finally:
        checkpoint.close()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer_config.json", "{", "not JSON"),
        ("tokenizer_config.json", '{"chat_template": 3}', "should be a text, not int"),
        ("tokenizer_config.json", '{"chat_template": [{"name": "x"}]}', "a name and a template"),
        ("tokenizer_config.json", '{"chat_template": {"rag": "x"}}', "none named 'default'"),
        ("chat_template.jinja", "x" * ((1 << 20) + 1), "more than 1048576 bytes"),
        ("chat_template.json", "[]", "a JSON object"),
    ],
)
def test_unusable_files(name: str, content: str, complaint: str, tmp_path: Path) -> None:
    put(tmp_path, name, content)
    with pytest.raises(TemplateError, match=complaint) as caught:
        choose_template(tmp_path, "embedded", None)
    assert name in str(caught.value)


def test_an_override_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot read"):
        choose_template(None, "embedded", tmp_path / "nothing.jinja")
    with pytest.raises(TemplateError, match='no "chat_template"'):
        choose_template(None, "embedded", put(tmp_path, "empty.json", {}))


def test_no_template_names_the_ways_out() -> None:
    with pytest.raises(TemplateError, match=r"base-model.*--chat-template FILE.*--no-template"):
        no_template("base-model")
