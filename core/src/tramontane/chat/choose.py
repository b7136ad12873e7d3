"""Which of the chat templates that come with a model, or with the command line, is the one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError, TemplateError
from tramontane.tokenizer.json_file import SMALL, read_object, read_text

from .template import LARGEST_SOURCE


def choose_template(
    folder: Path | None,
    embedded: str | None,
    override: Path | None,
    *,
    jinja: Path | None = None,
    tools: bool = False,
) -> str | None:
    """The source of the first template there is, or None.

    In order: jinja (a file that is a template, whatever its name), override (a .jinja file, or a
    .json file with "chat_template"), then in the model's folder chat_template.jinja,
    tokenizer_config.json and chat_template.json, then embedded (from a GGUF file).
    tools: whether the chat has tools; templates named "tool_use" are for these, "default" for all.
    Raises TemplateError where a file that should have a template cannot be read, is too large, or
    has none.
    """
    if jinja is not None:
        return _source(jinja)
    if override is not None:
        found = _from_json(override, tools) if override.suffix == ".json" else _source(override)
        if found is None:
            raise TemplateError(f'{override} has no "chat_template"')
        return found
    if folder is not None:
        special = folder / "additional_chat_templates" / "tool_use.jinja"
        if tools and special.exists():
            return _source(special)
        if (path := folder / "chat_template.jinja").exists():
            return _source(path)
        for name in ("tokenizer_config.json", "chat_template.json"):
            path = folder / name
            if path.exists() and (found := _from_json(path, tools)) is not None:
                return found
    return embedded


def _source(path: Path) -> str:
    try:
        return read_text(path, LARGEST_SOURCE)
    except CheckpointError as error:
        raise TemplateError(f"chat template: {error}") from error


def _from_json(path: Path, tools: bool) -> str | None:
    try:
        value = read_object(path, SMALL).get("chat_template")
    except CheckpointError as error:
        raise TemplateError(f"chat template: {error}") from error
    return None if value is None else _pick(value, tools, path)


def _pick(value: Any, tools: bool, path: Path) -> str:
    """One template, or the right one of a list of {"name": ..., "template": ...}."""
    if isinstance(value, list):
        try:
            named = {str(item["name"]): item["template"] for item in value}
        except (TypeError, KeyError) as error:
            raise TemplateError(f"{path}: its chat templates need a name and a template") from error
    elif isinstance(value, dict):
        named = value
    else:
        named = {"default": value}
    name = "tool_use" if tools and "tool_use" in named else "default"
    if name not in named:
        raise TemplateError(f"{path} has chat templates {sorted(named)}, but none named {name!r}")
    source = named[name]
    if not isinstance(source, str):
        raise TemplateError(f"{path}: chat_template should be a text, not {type(source).__name__}")
    return source
