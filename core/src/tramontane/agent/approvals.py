"""Which calls of a conversation may run: by their risk, by what a person says, and by what was
said before."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from tramontane.errors import UsageError
from tramontane.tools import RISKS, Risk, ToolCall

Mode: TypeAlias = Literal["auto", "ask", "deny"]
MODES: tuple[Mode, ...] = get_args(Mode)
NOBODY = "needs the user's approval, and there is nobody to ask"


@dataclass(frozen=True)
class Decision:
    """What a person said of a call. remember: whether it holds for all calls of that tool in the
    session. reason: told to the model with a refusal."""

    allow: bool
    remember: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """A call that waits for a person."""

    call: ToolCall
    risk: Risk


Ask: TypeAlias = Callable[[Question], Decision | bool | Awaitable[Decision | bool]]


@dataclass(frozen=True)
class Policy:
    """What becomes of calls, by their risk."""

    modes: Mapping[Risk, Mode] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Policy:
        """From "auto", "ask" or "deny", for all that is more than reading; or by risk, as in
        "network=auto,execute=deny", others than those named being asked for. Raises UsageError."""
        if text in MODES:
            return cls({risk: "auto" if risk == "read" else text for risk in RISKS})
        modes = dict(cls.of("ask").modes)
        for part in text.split(","):
            risk, equals, mode = (each.strip() for each in part.partition("="))
            if not equals or risk not in RISKS or mode not in MODES:
                raise UsageError(
                    f"approvals {text!r:.80}: {part.strip()!r:.40} is neither {_or(MODES)} nor "
                    f"RISK=MODE with a risk of {_or(RISKS)}"
                )
            modes[risk] = mode
        return cls(modes)

    def mode(self, risk: Risk) -> Mode:
        """What becomes of a call of a risk; of one that is not known, a question."""
        return self.modes.get(risk, "ask")


class Approvals:
    """A toolbox's `approve`. risks: of the tools by name; a tool that is not there needs no
    approval. ask: called for what is to be asked for. remembered: names of tools that a person
    allowed for the session; it is added to."""

    def __init__(
        self,
        policy: Policy,
        risks: Mapping[str, Risk],
        ask: Ask | None = None,
        remembered: set[str] | None = None,
    ) -> None:
        self._policy, self._risks, self._ask = policy, risks, ask
        self._remembered = set() if remembered is None else remembered

    def __call__(self, call: ToolCall) -> bool | str | Awaitable[bool | str]:
        """Whether a call may run, or why it may not."""
        risk = self._risks.get(call.name)
        if risk is None:
            return True
        mode = self._policy.mode(risk)
        if mode == "deny":
            return f"the owner does not allow {call.name}"
        if mode == "auto" or call.name in self._remembered:
            return True
        if self._ask is None:
            return f"{call.name} {NOBODY}"
        said = self._ask(Question(call, risk))
        if inspect.isawaitable(said):
            return self._later(call, said)
        return self._settled(call, said)

    async def _later(self, call: ToolCall, said: Awaitable[Decision | bool]) -> bool | str:
        return self._settled(call, await said)

    def _settled(self, call: ToolCall, said: Decision | bool) -> bool | str:
        decision = Decision(said) if isinstance(said, bool) else said
        if not decision.allow:
            return decision.reason or f"the user does not allow this call of {call.name}"
        if decision.remember:
            self._remembered.add(call.name)
        return True


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
