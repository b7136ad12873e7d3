"""Which calls may run: by risk, by what a person says, and by what was said before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tramontane.agent.approvals import Approvals, Decision, Policy, Question
from tramontane.chat.toolbox import Toolbox, function_tool
from tramontane.errors import UsageError
from tramontane.tools import RISKS, Risk, ToolCall, ToolResult

RISKS_OF: dict[str, Risk] = {risk: risk for risk in RISKS}


def run(tool: str, policy: str, ask: Any = None, remembered: set[str] | None = None) -> Any:
    return Approvals(Policy.of(policy), RISKS_OF, ask, remembered)(ToolCall(tool, "{}"))


@pytest.mark.parametrize(
    ("policy", "modes"),
    [
        ("auto", ["auto", "auto", "auto", "auto"]),
        ("ask", ["auto", "ask", "ask", "ask"]),
        ("deny", ["auto", "deny", "deny", "deny"]),
        ("network=auto", ["auto", "auto", "ask", "ask"]),
        ("read=deny, execute = deny", ["deny", "ask", "ask", "deny"]),
    ],
)
def test_a_policy_is_of_risks(policy: str, modes: list[str]) -> None:
    assert [Policy.of(policy).mode(risk) for risk in RISKS] == modes


@pytest.mark.parametrize("text", ["", "yes", "network", "network=", "net=auto", "auto,ask"])
def test_a_policy_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="is neither auto, ask or deny nor RISK=MODE"):
        Policy.of(text)


def test_nobody_to_ask_is_a_refusal() -> None:
    assert run("read", "ask") is True
    assert run("network", "auto") is True
    assert run("network", "deny") == "the owner does not allow network"
    assert "nobody to ask" in run("write", "ask")
    assert run("a tool of others", "deny") is True


def test_what_is_said_is_done_and_remembered() -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Decision | bool:
        asked.append(question)
        return [True, False, Decision(False, reason="why"), Decision(True, remember=True)][
            len(asked) - 1
        ]

    allowed: set[str] = set()
    said = [run("write", "ask", ask, allowed) for _ in range(5)]
    assert said == [True, "the user does not allow this call of write", "why", True, True]
    assert [question.risk for question in asked] == ["write"] * 4
    assert allowed == {"write"}
    assert run("write", "deny", ask, allowed) == "the owner does not allow write"


def test_an_answer_may_take_a_while_which_is_not_the_calls_time() -> None:
    ran: list[str] = []

    @function_tool
    async def act(n: int) -> ToolResult:
        """Act."""
        ran.append(str(n))
        return ToolResult(text="x" * 30)

    async def ask(question: Question) -> bool:
        await asyncio.sleep(0.2)
        return '"n": 1' in question.call.arguments

    approve = Approvals(Policy.of("ask"), {"act": "execute"}, ask)
    watched: list[Any] = []
    box = Toolbox([act], approve=approve, timeout=0.1, longest=10,
                  watch=lambda call, outcome: watched.append(outcome))  # fmt: skip
    calls = [ToolCall("act", '{"n": 1}'), ToolCall("act", '{"n": 2}'), ToolCall("none", "{}")]
    first, second, third = asyncio.run(box.run_async(calls))
    assert isinstance(first, ToolResult)
    assert first.text == "xxxxxxxxxx\n(cut off: 30 characters)"
    assert second == "error: the user does not allow this call of act"
    assert third == "error: there is no tool 'none'; there are: act"
    assert ran == ["1"]
    assert sorted(map(str, watched)) == sorted(map(str, [None, first, second, third]))
    box.watch = None
    assert box.run(calls) == [first, second, third]
