"""Command lines that are in files: TOML selectors, from-config, multi-model."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tramontane.errors import ConfigError, UsageError
from tramontane.problems import nearest

from .option import Option, Selector
from .parse import MISTRALRS, SERVER, Given
from .plan import Plan
from .translate import translate


def read_toml(path: str) -> dict[str, Any]:
    """The tables of a file. Raises ConfigError."""
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def read_json(path: str) -> dict[str, Any]:
    """The object of a file. Raises ConfigError."""
    try:
        value = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} should be an object, with a model for each name")
    return value


def options_of(
    where: str, table: Mapping[str, Any], known: tuple[Option, ...]
) -> list[tuple[Option, Any]]:
    """The keys of a table as options with their values. Raises ConfigError for an unknown key."""
    by_name = {name: each for each in known for name in _keys(each)}
    found: list[tuple[Option, Any]] = []
    for key, value in table.items():
        option = by_name.get(key)
        if option is None:
            hint = nearest(key, by_name)
            raise ConfigError(f"{where}: unknown key {key!r}{hint and f'; {hint}'}")
        if value is None or (value is False and not option.value):
            continue
        if not option.value:
            if value is not True:
                raise ConfigError(f"{where}: {key} should be true or false, not {value!r}")
            found.append((option, True))
            continue
        for text in _texts(where, key, value, option):
            found.append((option, text))
    return found


def _keys(option: Option) -> list[str]:
    return [name.lstrip("-").replace("-", "_") for name in option.names if name.startswith("--")]


def _texts(where: str, key: str, value: Any, option: Option) -> list[str]:
    if isinstance(value, dict) and option.many:
        return [json.dumps(value)]
    if isinstance(value, bool | dict) or value == "":
        raise ConfigError(f"{where}: {key} should be a value, not {value!r}")
    if not isinstance(value, list):
        return [str(value)]
    if option.many:
        return [text for each in value for text in _texts(where, key, each, option)]
    return [";".join(str(each) for each in value)]


def selected(given: Given) -> tuple[Plan, dict[str, Any]]:
    """`toml -f FILE`: the plan of what it selects, and its [anymoe], if there is one."""
    path = _named(given)
    told = read_toml(path)
    model = told.pop("model", None)
    anymoe, drafts = told.pop("anymoe", {}), told.pop("speculative", None)
    if not isinstance(model, dict):
        raise ConfigError(f"{path}: [model] is missing, the table that says which model it is")
    selector = SERVER.selector(_selects(model))
    inside = Given(
        SERVER, selector,
        [
            *[pair for pair in given.options if pair[0] not in given.selector.options],
            *options_of(path, told, (*SERVER.options, *selector.options)),
            *options_of(f"{path}: [model]", model, selector.options),
        ],
    )  # fmt: skip
    plan = translate(inside)
    if drafts is not None:
        _add_draft(path, drafts, plan)
    return plan, anymoe


def _selects(model: Mapping[str, Any]) -> str:
    """Which subcommand the keys of [model] are of."""
    from .architectures import DIFFUSION, EMBEDDING, SPEECH, VISION

    arch = str(model.get("arch", "")).lower()
    if "quantized_model_id" in model:
        file = str(model.get("quantized_filename", ""))
        kind = "-ggml" if "gqa" in model or not file.split(";")[0].endswith(".gguf") else "-gguf"
    else:
        kind = ""
    if "xlora_model_id" in model:
        return f"x-lora{kind}"
    if {"adapters_model_id", "adapter_model_id"} & {*model}:
        return f"lora{kind}"
    if kind:
        return kind[1:]
    for names, selector in (
        (DIFFUSION, "diffusion"), (SPEECH, "speech"), (VISION, "vision-plain"),
        (EMBEDDING, "embedding"),
    ):  # fmt: skip
        if arch in names:
            return selector
    return "plain" if arch else "run"


def _add_draft(path: str, drafts: Any, plan: Plan) -> None:
    """[speculative]: gamma, and the smaller model below [speculative.draft_model]."""
    smaller = drafts.get("draft_model") if isinstance(drafts, dict) else None
    if not isinstance(smaller, dict):
        raise ConfigError(f"{path}: [speculative.draft_model] is missing")
    selector = SERVER.selector(_selects(smaller))
    where = f"{path}: [speculative.draft_model]"
    draft = translate(Given(SERVER, selector, options_of(where, smaller, selector.options)))
    most = drafts.get("gamma")
    name = f"{draft.models[0]['model']}{'' if most is None else f':max={most}'}"
    plan.loading["draft"] = name


NESTED = ("format", "adapter", "quantization", "device", "multimodal", "vision")
TOP = {"command", "default_model_id", "models", "global", "runtime", "server", "paged_attn",
       "sandbox", "thinking", "reasoning_effort", "adapter"}  # fmt: skip
OF_RUN = ("thinking", "reasoning_effort", "adapter")
PREFIXES = {"paged_attn": "pa_", "sandbox": "sb_"}
RENAMED = {"pa_mode": "paged_attn", "sb_mode": "sandbox", "sb_profile": "sandbox_profile",
           "sb_network": "sandbox_network"}  # fmt: skip


def configured(given: Given) -> Plan:
    """`from-config -f FILE`: what it serves or runs. Raises ConfigError."""
    path = _named(given)
    told = read_toml(path)
    for key in told:
        if key not in TOP:
            hint = nearest(key, TOP)
            raise ConfigError(f"{path}: unknown key {key!r}{hint and f'; {hint}'}")
    command = told.get("command", "serve")
    if command not in ("serve", "run"):
        raise ConfigError(f"{path}: command should be serve or run, not {command!r}")
    models = told.get("models")
    if not isinstance(models, list) or not models:
        raise ConfigError(f"{path}: [[models]] is missing, a table for each model")
    if command == "run" and len(models) > 1:
        raise ConfigError(f"{path}: run has one model, and there are {len(models)} [[models]]")
    selector = MISTRALRS.selector(command)
    known = (*MISTRALRS.options, *selector.options)
    common = []
    for section in ("global", "runtime", "server", "paged_attn", "sandbox"):
        table = _table(path, told, section)
        if section == "server" and command == "run" and table:
            raise ConfigError(f'{path}: [server] is of command = "serve"')
        prefix = PREFIXES.get(section, "")
        named = {RENAMED.get(prefix + key, prefix + key): value for key, value in table.items()}
        common += options_of(f"{path}: [{section}]", named, known)
    asked: dict[str, Any] = {key: told[key] for key in OF_RUN if key in told}
    common += options_of(path, asked, known)
    plans = {}
    for index, model in enumerate(models):
        where = f"{path}: [[models]] {index + 1}"
        inside = Given(MISTRALRS, selector, [*given.options, *common], _kind(where, model))
        inside.options = [pair for pair in inside.options if pair[0] not in given.selector.options]
        inside.options += options_of(where, _flat(where, model), known)
        plans[str(model.get("model_id"))] = translate(inside)
    return _joined(path, plans, told.get("default_model_id"))


def _table(path: str, told: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = told.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [{name}] should be a table")
    return table


def _kind(where: str, model: Any) -> str:
    kind = model.pop("kind", "auto") if isinstance(model, dict) else "auto"
    kinds = MISTRALRS.selector("serve").kinds
    if kind not in kinds:
        raise ConfigError(f"{where}: kind should be one of {', '.join(kinds)}, not {kind!r}")
    return str(kind)


def _flat(where: str, model: Any) -> dict[str, Any]:
    """The keys of a model, those of its inner tables among them."""
    if not isinstance(model, dict):
        raise ConfigError(f"{where} should be a table")
    found: dict[str, Any] = {}
    for key, value in model.items():
        if key in NESTED and isinstance(value, dict):
            found |= value
        else:
            found[key] = value
    return found


def _joined(path: str, plans: Mapping[str, Plan], first: Any) -> Plan:
    """One plan of several models' that have the same server."""
    if first is not None and first not in plans:
        raise ConfigError(f"{path}: the default model {first!r} is none of {', '.join(plans)}")
    names = sorted(plans, key=lambda name: name != first) if first is not None else [*plans]
    plan, *others = (plans[name] for name in names)
    for other in others:
        plan.models += other.models
        plan.checks += other.checks
        if other.template_of is not None or plan.template_of is not None:
            raise ConfigError(
                f"{path}: tok_model_id of several models: give each a folder, or a chat_template"
            )
    return plan


def several(given: Given) -> Plan:
    """`multi-model --config FILE`: a server of all of them. Raises ConfigError."""
    path = given.value("config")
    if path is None:
        raise UsageError("mistralrs-server multi-model: the file is missing: --config FILE")
    if given.value("interactive_mode") is not None:
        raise UsageError("multi-model serves, and -i chats with one model: leave -i out")
    plans: dict[str, Plan] = {}
    for name, entry in read_json(str(path)).items():
        where = f"{path}: {name}"
        if not isinstance(entry, dict):
            raise ConfigError(f"{where} should be an object")
        own = dict(entry)
        alias = own.pop("alias", None)
        kinds = [key for key, value in own.items() if isinstance(value, dict)]
        if len(kinds) != 1:
            raise ConfigError(f'{where}: one kind is needed, such as "Plain": {{"model_id": ...}}')
        told = own.pop(kinds[0])
        selector = _by_kind(where, kinds[0])
        outside = [pair for pair in given.options if pair[0] not in given.selector.options]
        options = options_of(where, own, SERVER.options)
        inner = options_of(f"{where}: {kinds[0]}", told, selector.options)
        plan = translate(Given(SERVER, selector, [*outside, *options, *inner]))
        (model,) = plan.models
        names = dict.fromkeys((name, *([alias] if isinstance(alias, str) else [])))
        names.pop(model["name"], None)
        model["alias"] = list(names)
        plans[model["name"]] = plan
    if not plans:
        raise ConfigError(f"{path} names no models")
    return _joined(str(path), plans, given.value("default_model_id"))


def _by_kind(where: str, kind: str) -> Selector:
    """A subcommand by the name of its variant: VisionPlain is vision-plain."""
    for selector in SERVER.selectors:
        if kind.lower() in (name.replace("-", "") for name in selector.names):
            return selector
    raise ConfigError(
        f"{where}: there is no kind {kind!r}; there are Plain, GGUF, VisionPlain, ..."
    )


def _named(given: Given) -> str:
    path = given.value("file")
    if path is None:
        raise UsageError(
            f"{given.program.name} {given.selector.name}: the file is missing: -f FILE"
        )
    return str(path)
