"""From a command line of theirs to one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.errors import UsageError

from . import adapters, tools, values
from .architectures import CLASSES, NAMES
from .option import Meant, Refused, To
from .parse import SERVER, Given
from .plan import Check, Plan
from .source import one_of, served_name, source
from .tables.new import NO_UQFF, REFUSED
from .template import template

OF_SERVER = {
    "host", "port", "log_file", "mcp_config", "mcp", "max_tool_rounds", "tool_dispatch_url",
    "tool_dispatch_names", "access_log", "adapter_downloads", "pages", "tools", "tool_option",
    "approvals", "tool_folder",
}  # fmt: skip
"""Options of `serve` that are not of a model."""
ONLY_HERE = (
    "listening at 127.0.0.1, for this machine only; mistral.rs listens on every address: that is "
    "{option} 0.0.0.0, and with TRAMONTANE_API_KEY=... only who has the key is answered"
)
TASKS = {"diffusion": "image", "speech": "speak"}


def translate(given: Given) -> Plan:
    """What a command line is here; those that read files are `files`'. Raises UsageError."""
    command = _command(given)
    if command == "refused":
        raise UsageError(f"{given.program.name} {given.selector.name}: {_why(given)}")
    if command == "uqff":
        return _uqff(given)
    if command == "cache":
        return _cache(given)
    plan = Plan(command)
    options = _options(given, command)
    if options.pop("verbose", False):
        plan.words.append("-v")
    if command in ("doctor", "login"):
        plan.options = options
        return plan
    options = {"model": _model(given), **options, **adapters.options(given, command)}
    options |= _drafts(given) | tools.options(given, command, plan)
    options |= template(given, options, plan)
    _add_checks(given, plan, options["model"])
    if command == "quantize":
        plan.words = [_out(given), *plan.words]
        options["to"] = _to(given)
    if command == "serve":
        _serve(given, plan, options)
    else:
        plan.options = options
    return plan


def _why(given: Given) -> str:
    return REFUSED[given.selector.name]


def _command(given: Given) -> str:
    """Which of our commands it is."""
    runs = given.selector.runs
    chats = given.value("interactive_mode") is not None
    if given.program is SERVER:
        return {"auto": "run"}.get(runs, runs) if chats else "serve"
    if runs == "run" and given.kind == "embedding":
        raise UsageError(
            "a model of vectors does not chat: tramontane embed MODEL TEXT, or mistralrs serve "
            "embedding -m MODEL"
        )
    return TASKS.get(given.kind, runs) if runs == "run" else runs


def _options(given: Given, command: str) -> dict[str, Any]:
    """Our options that the tables say. Raises UsageError for what is refused."""
    found: dict[str, Any] = {}
    for option, value in given.options:
        ours = option.on(command)
        if isinstance(ours, Refused):
            raise UsageError(f"{option.name}: {ours.said}")
        if isinstance(ours, Meant) and ours.only and str(value).lower() not in ours.only:
            raise UsageError(
                f"{option.name} {value}: only {' or '.join(ours.only)} can be had: {ours.said}"
            )
        if isinstance(ours, To):
            for name, made in ours.options(value).items():
                found[name] = [*found.get(name, ()), made] if option.many else made
    if (explicit := given.value("jinja_explicit")) is not None:
        found["chat_template"] = explicit  # it goes before --chat-template there too
    return found


def _model(given: Given) -> str:
    """The model for -m. Raises UsageError where there is none, or a file without one."""
    model = given.value("model_id", "quantized_model_id")
    file = given.value("quantized_filename", "quantized_file", "from_uqff")
    kind = given.value("format")
    if model is None:
        model = adapters.base_of(given)
    if model is None:
        raise UsageError(
            f"{given.program.name} {given.selector.name}: the model is missing: -m MODEL"
        )
    if kind not in (None, "plain", "gguf", "ggml"):
        raise UsageError(f"--format {kind}: must be plain, gguf or ggml")
    quantized = kind in ("gguf", "ggml") or any(
        option.key == "quantized_filename" for option in given.selector.options
    )
    if quantized and file is None:
        raise UsageError(f"the file of {model} is missing: -f FILE")
    if kind == "plain" and given.value("quantized_file") is not None:
        raise UsageError("--format plain has no file: leave out -f, or say --format gguf")
    if given.value("from_uqff") is not None and not one_of(str(file)).endswith(".uqff"):
        raise UsageError(f"--from-uqff {file}: name the file, NAME.uqff")
    return source(str(model), file)


def _add_checks(given: Given, plan: Plan, model: str) -> None:
    name = given.value("arch")
    if name is not None:
        if str(name).lower() not in NAMES:
            raise UsageError(
                f"-a {name}: there is no such architecture; there are: {', '.join(NAMES)}"
            )
        classes = CLASSES.get(str(name).lower(), ())
        plan.checks.append(Check(model, str(name), classes))
    elif given.program is SERVER and given.selector.name == "run":
        plan.checks.append(Check(model, "run", ()))


def _drafts(given: Given) -> dict[str, str]:
    count = given.value("mtp_n_predict")
    most = "" if count is None else f":max={values.number('--mtp-n-predict', count, 1)}"
    drafter, own = given.value("mtp_model"), given.value("mtp")
    if drafter is not None and own:
        raise UsageError("--mtp and --mtp-model exclude each other; give one")
    if drafter is None and not own:
        if count is not None:
            raise UsageError("--mtp-n-predict goes with --mtp or --mtp-model MODEL")
        return {}
    return {"draft": f"{drafter or 'mtp'}{most}"}


def _serve(given: Given, plan: Plan, options: Mapping[str, Any]) -> None:
    plan.options = {name: value for name, value in options.items() if name in OF_SERVER}
    port, mcp_port = given.value("port"), given.value("mcp_port")
    if mcp_port is not None:
        if port not in (None, mcp_port):
            raise UsageError(
                f"--port {port} and --mcp-port {mcp_port}: here MCP is at /mcp of the server's own "
                "port: give one of them"
            )
        plan.options |= {"mcp": True, "port": mcp_port}
    if "host" not in plan.options:
        option = "--serve-ip" if given.program is SERVER else "--host"
        plan.notes.append(ONLY_HERE.format(option=option))
    named = {
        "name": served_name(str(given.value("model_id", "quantized_model_id") or options["model"]))
    }
    if given.program is SERVER:
        named["alias"] = ["*"]  # type: ignore[assignment]
    model = {name: value for name, value in options.items() if name not in OF_SERVER}
    plan.models = [{**model, **named}]


def _out(given: Given) -> str:
    out = given.value("output")
    if out is None:
        raise UsageError("where to is missing: -o OUT, a folder or a .gguf file")
    if str(out).endswith(".uqff"):
        raise UsageError(f"-o {out}: UQFF is read, not written; OUT.gguf or a folder is")
    return str(out)


def _to(given: Given) -> str:
    kinds = given.all("isq", "quant")
    if len(kinds) != 1:
        raise UsageError(
            f"{len(kinds)} times --isq: give one, and run it once for each; 4 is Q4K and so on"
        )
    return values.isq_kind(kinds[0])


def _uqff(given: Given) -> Plan:
    if given.words != ["inspect"]:
        asked = " ".join(["mistralrs uqff", *given.words])
        raise UsageError(f"{asked}: {NO_UQFF}")
    options: dict[str, Any] = {"model": given.value("model_id")}
    if options["model"] is None:
        raise UsageError("mistralrs uqff inspect: the model is missing: -m MODEL")
    return Plan("inspect", {**options, **({"json": True} if given.value("json") else {})})


def _cache(given: Given) -> Plan:
    model = given.value("model_id")
    if given.words == ["list"]:
        return Plan("list")
    if given.words != ["delete"]:
        raise UsageError("mistralrs cache: list, or delete -m MODEL")
    if model is None:
        raise UsageError("mistralrs cache delete: the model is missing: -m MODEL")
    return Plan("rm", words=[str(model)])
