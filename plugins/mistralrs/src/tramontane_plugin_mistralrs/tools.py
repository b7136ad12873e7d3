"""Search, code and commands that a model may run: toolsets of ours, and their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tramontane.errors import UsageError

from . import values
from .parse import SERVER, Given
from .plan import Plan

RUNS = ("python", "shell")
"""Toolsets in the sandbox."""
TOOLSETS = {
    "agent": ("search", *RUNS),
    "enable_search": ("search",),
    "enable_code_execution": ("python",),
    "enable_shell": ("shell",),
}
MODES = ("auto", "ask", "deny")
SHELL_SECONDS = 600
"""Of a command, where nothing else is said; there it is as many."""
CARDS = {"embedding-gemma": "google/embeddinggemma-300m"}
"""Their names of models of vectors."""


def _embedder(_: str, text: str) -> str:
    return CARDS.get(text.lower().replace("_", "-"), text)


def _count(least: int) -> Callable[[str, str], str]:
    return lambda name, text: str(values.number(name, text, least))


def _one_of(**found: str | None) -> Callable[[str, str], str | None]:
    """A word as our value; None: what is so anyway."""

    def convert(name: str, text: str) -> str | None:
        if text.lower() not in found:
            raise UsageError(f"{name} {text}: must be {' or '.join(found)}")
        return found[text.lower()]

    return convert


SETTINGS: Mapping[str, tuple[tuple[str, ...], str, Callable[[str, str], str | None]]] = {
    "search_embedding_model": (("search",), "embed", _embedder),
    "search_bert_model": (("search",), "embed", _embedder),
    "code_exec_timeout": (("python",), "seconds", _count(1)),
    "shell_timeout": (("shell",), "seconds", _count(1)),
    "sandbox": (RUNS, "sandbox", _one_of(auto=None, on=None, off="off")),
    "sandbox_profile": (RUNS, "network", _one_of(restricted=None, developer="true")),
    "sandbox_network": (RUNS, "network", _one_of(none=None, loopback=None, full="true")),
    "sb_max_memory_mb": (RUNS, "memory", _count(64)),
    "sb_max_cpu_secs": (RUNS, "cpu", _count(1)),
    "sb_max_procs": (RUNS, "processes", _count(4)),
}
"""Options of theirs: the toolsets of which they are one, its name there, and how its value is
made."""


def options(given: Given, command: str, plan: Plan) -> dict[str, Any]:
    """`--tools`, `--tool-option` and `--approvals`; what has no effect is noted in the plan.

    Raises UsageError.
    """
    keys = {*TOOLSETS, *SETTINGS, "agent_permission"}
    asked = [(option, value) for option, value in given.options if option.key in keys]
    if not asked:
        return {}
    if command not in ("run", "serve"):
        raise UsageError(f"{asked[0][0].name}: tramontane {command} calls no tools: leave it out")
    on = list(dict.fromkeys(tool for option, _ in asked for tool in TOOLSETS.get(option.key, ())))
    told = {"shell.seconds": str(SHELL_SECONDS)} if "shell" in on else {}
    # --sandbox-network says more exactly what --sandbox-profile says, wherever they stand
    for option, value in sorted(asked, key=lambda pair: pair[0].key == "sandbox_network"):
        if option.key not in SETTINGS:
            continue
        tools, name, convert = SETTINGS[option.key]
        ours = convert(option.name, str(value))
        if not {*tools} & {*on}:
            plan.notes.append(
                f"{option.name} has no effect: {' and '.join(tools)} are not turned on"
                if len(tools) > 1
                else f"{option.name} has no effect: {tools[0]} is not turned on"
            )
        for full in (f"{tool}.{name}" for tool in tools if tool in on):
            told.pop(full, None)
            if ours is not None:
                told[full] = ours
    found: dict[str, Any] = {"tools": [",".join(on)]} if on else {}
    if told:
        found["tool_option"] = [f"{name}={value}" for name, value in told.items()]
    return found | _approvals(given, command, on, plan)


def _approvals(given: Given, command: str, on: list[str], plan: Plan) -> dict[str, str]:
    mode = given.value("agent_permission")
    if mode is not None and str(mode).lower() not in MODES:
        raise UsageError(f"--agent-permission {mode}: must be {', '.join(MODES)}")
    if mode is not None and not on and command == "run":
        plan.notes.append("--agent-permission has no effect: no tools are turned on")
        return {}
    if mode is None and on:
        ask = "" if given.program is SERVER else "; --agent-permission ask asks first"
        plan.notes.append(f"tools run without asking, as with mistral.rs: {', '.join(on)}{ask}")
    return {"approvals": str(mode or "auto").lower()}


def add_mode(plan: Plan, mode: str) -> None:
    """MISTRALRS_SANDBOX, which overrides `--sandbox`. Raises UsageError."""
    if mode.lower() not in ("auto", "on", "off"):
        raise UsageError(f"MISTRALRS_SANDBOX={mode}: must be auto, on or off")
    names = [name for each in plan.options.get("tools", ()) for name in each.split(",")]
    told = plan.options.get("tool_option", [])
    told = [text for text in told if not text.endswith(".sandbox=off")]
    if mode.lower() == "off":
        told += [f"{name}.sandbox=off" for name in names if name in RUNS]
    if told:
        plan.options["tool_option"] = told
    else:
        plan.options.pop("tool_option", None)
