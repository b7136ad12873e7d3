"""Search, code and commands: toolsets, with options that they have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tramontane.agent.tool_options import options_of
from tramontane.errors import TramontaneError, UsageError
from tramontane.plugin import Interconnect, Toolset
from tramontane.registry import Registry
from tramontane_plugin_mistralrs.parse import MISTRALRS, parse
from tramontane_plugin_mistralrs.tools import add_mode
from tramontane_plugin_mistralrs.translate import translate

Parses = Callable[[list[str]], None]
TOOLS = [
    ("--enable-search", "search", [], "auto"),
    (
        "--enable-search --search-embedding-model embedding-gemma", "search",
        ["search.embed=google/embeddinggemma-300m"], "auto",
    ),
    ("--enable-code-execution --code-exec-timeout 9", "python", ["python.seconds=9"], "auto"),
    ("--enable-shell", "shell", ["shell.seconds=600"], "auto"),
    (
        "--agent --agent-permission ask --shell-timeout 5", "search,python,shell",
        ["shell.seconds=5"], "ask",
    ),
    (
        "--enable-code-execution --sandbox off --sb-max-memory-mb 512 --sb-max-procs 8",
        "python", ["python.sandbox=off", "python.memory=512", "python.processes=8"], "auto",
    ),
    (
        "--enable-shell --sandbox-network none --sandbox-profile developer --sandbox on", "shell",
        ["shell.seconds=600"], "auto",
    ),
    (
        "--enable-code-execution --sandbox-profile developer", "python", ["python.network=true"],
        "auto",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "names", "told", "approvals"), TOOLS)
@pytest.mark.parametrize("command", ["run", "serve"])
def test_tools_are_toolsets_with_options_that_they_have(
    command: str, line: str, names: str, told: list[str], approvals: str, parses: Parses
) -> None:
    plan = translate(parse(MISTRALRS, [command, "-m", "org/a", *line.split()]))
    assert plan.options["tools"] == [names]
    assert plan.options.get("tool_option", []) == told
    assert plan.options["approvals"] == approvals
    offers = [Registry().get(Toolset, name) for name in names.split(",")]
    options_of(offers, plan.options.get("tool_option", []))
    asks = "tools run without asking" in " ".join(plan.notes)
    assert asks is ("--agent-permission" not in line)
    parses(plan.arguments())


def test_an_option_of_tools_that_are_off_is_noted() -> None:
    line = ["run", "-m", "org/a", "--sandbox", "off", "--agent-permission", "ask"]
    plan = translate(parse(MISTRALRS, line))
    assert "tools" not in plan.options
    assert [note.partition(" has")[0] for note in plan.notes] == ["--sandbox", "--agent-permission"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--enable-shell --sandbox maybe", "--sandbox maybe: must be auto or on or off"),
        ("--enable-shell --shell-path /bin/zsh", "--shell-path /bin/zsh: only /bin/sh or"),
        ("--enable-shell --sb-max-procs 1", "at least 4"),
        ("--agent --agent-permission perhaps", "must be auto, ask, deny"),
    ],
)
def test_values_of_tools_are_checked(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        translate(parse(MISTRALRS, ["serve", "-m", "org/a", *line.split()]))


@pytest.mark.parametrize(("mode", "told"), [("off", ["python.sandbox=off"]), ("ON", [])])
def test_the_variable_of_the_sandbox_overrides(mode: str, told: list[str]) -> None:
    flag = "off" if mode == "ON" else "auto"
    line = ["run", "-m", "org/a", "--enable-code-execution", "--sandbox", flag]
    plan = translate(parse(MISTRALRS, line))
    add_mode(plan, mode)
    assert plan.options.get("tool_option", []) == told


@pytest.mark.parametrize(
    ("option", "distribution"),
    [
        ("--interconnect ring", "plugin-ring"),
        ("--tools search", "plugin-agent"),
        ("--tools python", "plugin-sandbox"),
        ("--tools shell", "plugin-sandbox"),
    ],
)
def test_a_missing_distribution_is_named(
    option: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = option.partition(" ")[2]
    registry = Registry()
    monkeypatch.setattr(registry, "_installed", {})
    with pytest.raises(TramontaneError, match=f"pip install tramontane-{distribution}"):
        registry.get(Interconnect if name == "ring" else Toolset, name)
