"""What models may do here: the toolsets that the owner turned on, and approvals of their calls."""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tramontane.agent.approvals import Approvals, Decision, Policy, Question
from tramontane.agent.tool_options import names_of
from tramontane.agent.toolsets import Toolsets
from tramontane.chat.tool_loop import outcome_fields
from tramontane.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tramontane.chat.toolbox import Function, Outcome, Toolbox
    from tramontane.tools import Risk, ToolCall

    from .settings import Settings

LONGEST_RESULT = 16_000
"""Characters of a result that the model is given."""
MOST_WAITING = 1000
"""Calls that wait for approval at once."""
UNASKED = "needs the user's approval, and its client cannot be asked"


class Acting:
    """The server's tools. Raises ConfigError, PluginError."""

    def __init__(self, settings: Settings) -> None:
        try:
            self.policy = Policy.of(settings.approvals or "ask")
            self.toolsets = Toolsets(
                names_of(settings.tools), settings.tool_option, folder=settings.tool_folder
            )
        except UsageError as error:
            raise ConfigError(str(error)) from error
        self.all_tools = settings.approvals is not None
        """Whether approvals go for tools of MCP servers and dispatched ones too."""
        self.seconds = settings.approval_timeout
        self._waiting: dict[str, asyncio.Future[Decision]] = {}

    @property
    def names(self) -> list[str]:
        """The toolsets that are on."""
        return [offer.name for offer in self.toolsets.offers]

    def begin(self, session: str | None, media: Iterable[str], *, asks: bool) -> Acts:
        """The tools of a request. session: the conversation that it belongs to; None: it is its
        own. asks: whether its client answers questions. Blocks. Raises TramontaneError."""
        conversation = session or self.toolsets.passing()
        functions = self.toolsets.functions(conversation, media, hold=True)
        return Acts(self, conversation, functions, asks=asks, passing=session is None)

    async def wait(self, identity: str) -> Decision:
        """What a client says of a call, in time."""
        if len(self._waiting) >= MOST_WAITING:
            return Decision(False, reason="too many calls wait for approval now")
        answered = asyncio.get_running_loop().create_future()
        self._waiting[identity] = answered
        try:
            return await asyncio.wait_for(answered, self.seconds)
        except TimeoutError:
            return Decision(False, reason=f"nobody allowed it within {self.seconds:g} s")
        finally:
            del self._waiting[identity]

    def answer(self, identity: str, decision: Decision) -> bool:
        """Answer a question; returns whether it waits for an answer."""
        waiting = self._waiting.get(identity)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(decision)
        return True

    def close(self) -> None:
        """Close all conversations."""
        self.toolsets.close()


class Acts:
    """The tools of one request, and what it tells its client of them.

    functions: the tools. notices: what to tell, as JSON objects.
    """

    def __init__(
        self,
        acting: Acting,
        conversation: str,
        functions: Sequence[Function],
        *,
        asks: bool,
        passing: bool,
    ) -> None:
        self._acting, self._conversation = acting, conversation
        self._asks = asks
        self.functions = list(functions)
        self._end = weakref.finalize(self, _ended, acting.toolsets, conversation, passing)
        self.toolset_of = acting.toolsets.toolset_of(conversation)
        self.notices: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._risks: dict[str, Risk] = {}
        self._identities: dict[int, tuple[ToolCall, str]] = {}

    def govern(self, toolbox: Toolbox, registered: Sequence[Function]) -> None:
        """Let approvals decide on a toolbox's calls. registered: its tools that run here."""
        own = {one.tool.name for one in self.functions}
        self._risks = {
            one.tool.name: one.risk
            for one in registered
            if self._acting.all_tools or one.tool.name in own
        }
        remembered = self._acting.toolsets.remembered(self._conversation)
        ask = self._ask if self._asks else _unasked
        toolbox.approve = Approvals(self._acting.policy, self._risks, ask, remembered)
        toolbox.watch = self._watch
        toolbox.longest = LONGEST_RESULT

    def close(self) -> None:
        """Let the conversation go."""
        self._end()

    async def _ask(self, question: Question) -> Decision:
        identity = self._identity(question.call)
        seconds = self._acting.seconds
        self._tell("approval", question.call, risk=question.risk, expires_in=seconds)
        return await self._acting.wait(identity)

    def _watch(self, call: ToolCall, outcome: Outcome | None) -> None:
        if outcome is None:
            self._tell("started", call, risk=self._risks.get(call.name, "execute"))
            return
        more = {"files": [], "citations": [], **outcome_fields(outcome)}
        said = {"type": "finished", "id": self._identity(call), "name": call.name, **more}
        self.notices.put_nowait(said)

    def _tell(self, kind: str, call: ToolCall, **more: Any) -> None:
        about = {"id": self._identity(call), "name": call.name, "arguments": call.arguments}
        self.notices.put_nowait({"type": kind, **about, **more})

    def _identity(self, call: ToolCall) -> str:
        """Of one call; a guess of it is of no use."""
        # it is held, so that no later call has its number and is approved in its place
        return self._identities.setdefault(id(call), (call, secrets.token_urlsafe(18)))[1]


def _unasked(question: Question) -> Decision:
    return Decision(False, reason=f"{question.call.name} {UNASKED}")


def _ended(toolsets: Toolsets, conversation: str, passing: bool) -> None:
    with suppress(RuntimeError):  # the server has stopped
        toolsets.release(conversation)
        if passing:
            toolsets.end_soon(conversation)
