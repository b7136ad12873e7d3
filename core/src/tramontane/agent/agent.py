"""An agent: a model, a conversation, and tools that the owner turned on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from tramontane.chat.chat_turn import Turn
from tramontane.chat.tool_loop import ToolLoop
from tramontane.chat.toolbox import Function, tool_of
from tramontane.sampling_keywords import CHAT, Sampling, with_keywords

from .approvals import Ask, Policy
from .conversation_tools import LONGEST, TIMEOUT, ConversationTools
from .session_store import SessionStore

if TYPE_CHECKING:
    from tramontane.llm import LLM
    from tramontane.results import Completion
    from tramontane.sampling_params import SamplingParams


@dataclass(frozen=True)
class AgentAnswer:
    """What an agent said and did. completion: the last answer. calls: each call with its `name`,
    `arguments` and `result`, and `files` and `citations` where there are any."""

    completion: Completion
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def content(self) -> str:
        """The answer's text."""
        return self.completion.content

    @property
    def citations(self) -> list[dict[str, str]]:
        """Pages that its calls have read or found, each once."""
        every = [one for call in self.calls for one in call.get("citations", ())]
        return list({one["url"]: one for one in every}.values())


class Agent:
    """A conversation with a model that may use tools. A context manager; for one thread.

    tools: names of toolsets, and functions, as `LLM.chat` has them. approvals: auto, ask or deny,
    or by risk, as in "network=auto,execute=ask". ask: called with a Question for what is to be
    asked for, returns a Decision, or True or False; without it, such calls are refused.
    tool_options: NAME.OPTION=VALUE, or values by NAME.OPTION. system: the system message.
    session: a name under which it is kept, and continued where it is there. store: where, by
    default the user's own. folder: of the conversations' files.
    max_rounds: of calls in one answer. max_seconds: after which no round begins. tool_timeout:
    seconds for a call. longest_result: characters of a result that the model is given.

    Raises PluginError, UsageError, RequestError.
    """

    def __init__(
        self,
        llm: LLM,
        tools: Sequence[Any] = (),
        *,
        approvals: str = "ask",
        ask: Ask | None = None,
        tool_options: Iterable[str] | Mapping[str, Any] = (),
        system: str | None = None,
        session: str | None = None,
        store: SessionStore | Path | None = None,
        folder: Path | None = None,
        max_rounds: int = 8,
        max_seconds: float = 600.0,
        tool_timeout: float = TIMEOUT,
        longest_result: int = LONGEST,
    ) -> None:
        self._llm, self._ask = llm, ask
        policy = Policy.of(approvals)
        own = [tool_of(tool) for tool in tools if not isinstance(tool, str)]
        names = [tool for tool in tools if isinstance(tool, str)]
        self._max_rounds, self._max_seconds = max_rounds, max_seconds
        self._store = store if isinstance(store, SessionStore) else None
        if session is not None and self._store is None:
            self._store = SessionStore(store if isinstance(store, Path) else None)
        self.session = session
        self.messages: list[dict[str, Any]] = []
        if session is not None and self._store is not None and self._store.has(session):
            self.messages = self._store.messages(session)
        elif system:
            self.messages = [{"role": "system", "content": system}]
        self._tools = ConversationTools(
            llm, names, tool_options, policy, name=session, own=own, folder=folder,
            timeout=tool_timeout, longest=longest_result,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def files(self) -> Path:
        """The folder of the conversation's files."""
        return self._tools.folder

    def ask(
        self,
        content: str | list[Any],
        params: SamplingParams | None = None,
        **sampling: Unpack[Sampling],
    ) -> AgentAnswer:
        """Answer a message, with as many calls of tools as it takes within the limits; of one
        answer, in parallel. The conversation goes on from there, and is kept where it has a name.

        sampling: as in `LLM.chat`. Raises TemplateError, RequestError, and then forgets
        the message.
        """
        inner = self._llm.inner
        params = with_keywords(params, sampling, CHAT, inner.template_source or "")
        toolbox = self._tools.toolbox(self._ask)
        names = [one.tool.name for one in toolbox.tools if isinstance(one, Function)]
        asked = [*self.messages, {"role": "user", "content": content}]
        turn = Turn(inner, asked, params, toolbox, variables={})
        loop = ToolLoop(
            turn, toolbox, self._max_rounds, recorded=names, max_seconds=self._max_seconds
        )
        requests = turn.requests()
        while loop.next_round(self._llm._results(requests)):
            requests = turn.requests()
        answer = loop.completion
        said = {"role": "assistant", "content": answer.content}
        self.messages = [*turn.whole_messages(), said]
        if self.session is not None and self._store is not None:
            self._store.save(self.session, self.messages)
        return AgentAnswer(answer, loop.calls_made)

    def close(self) -> None:
        """Close the tools. The model stays open."""
        self._tools.close()
