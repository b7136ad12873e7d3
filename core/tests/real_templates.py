"""The chat templates of the test data, and how transformers renders a chat with one."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from tramontane.chat import choose_template

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "chat_templates"
NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
NOW = datetime.datetime(2025, 3, 4, 5, 6, 7)


def sources() -> dict[str, str]:
    """By name: files, and what tokenizer configurations hold."""
    found = {}
    for path in sorted(DATA.glob("llama.cpp/*.jinja")):
        found[path.name] = path.read_text(encoding="utf-8")
    for path in sorted(DATA.glob("mistral.rs/*")):
        source = choose_template(None, None, path)
        assert source is not None
        found[f"mistral.rs {path.name}"] = source
    for folder in sorted(DATA.glob("tokenizer_configs/*")):
        for tools in (False, True):
            source = choose_template(folder, None, None, tools=tools)
            if source is not None and source not in found.values():
                found[f"config {folder.name}, {tools=}"] = source
    return found


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":
        return cls(*NOW.timetuple()[:6])


def by_transformers(
    source: str, messages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, **variables: Any
) -> str | None:
    """The prompt; None where the template fails, as templates do in every way."""
    theirs = pytest.importorskip("transformers.utils.chat_template_utils")
    monkeypatch.setattr(theirs, "datetime", Clock)
    options = {**NAMED, "add_generation_prompt": True, **variables}
    try:
        [text], _ = theirs.render_jinja_template([messages], chat_template=source, **options)
    except Exception:  # noqa: BLE001
        return None
    return str(text)
