"""A conversation with a model: its messages, what is computed of them, and the next answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.answers import AnswerParser, Content, Delta, Reasoning
from tramontane.chat.chat_turn import Turn
from tramontane.chat.media_parts import Attached, attached_file
from tramontane.chat.parts import joined
from tramontane.chat.tool_loop import ToolLoop
from tramontane.chat.toolbox import Toolbox
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.session_file import Session, read, save
from tramontane.engine.snapshot import Snapshot
from tramontane.errors import RequestError

if TYPE_CHECKING:
    from tramontane.llm import LLM
    from tramontane.sampling_params import SamplingParams
    from tramontane.tools import ToolCall


ROUNDS = 8
"""How often a model may call tools before it has to answer."""


class Shown:
    """Shows the content and the reasoning of an answer, of its text as it comes."""

    def __init__(self, parser: AnswerParser, show: Callable[[str], None]) -> None:
        self._parser, self._show = parser, show

    def __call__(self, text: str) -> None:
        self._pass(self._parser.push(text))

    def finish(self) -> None:
        self._pass(self._parser.finish())

    def _pass(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, Content | Reasoning):
                self._show(delta.text)


class Conversation:
    """Keeps the cache of earlier turns, so that only what is new is computed."""

    def __init__(
        self,
        llm: LLM,
        system: str | None = None,
        notify: Callable[[str], None] = lambda call: None,
        variables: Mapping[str, Any] | None = None,
        *,
        drops: bool = False,
        toolbox: Callable[[], Toolbox] | None = None,
        keep: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """notify: called with each tool call. variables: of the chat template. drops: whether the
        oldest messages are left out once the context is full; else that is an error. toolbox: makes
        the tools of each answer; None: those of the model's MCP servers. keep: called with the
        messages after each answer."""
        self.llm, self.notify = llm, notify
        self.variables = dict(variables or {})
        self.drops, self.dropped = drops, 0
        self._toolbox = toolbox or (lambda: Toolbox(llm.tools()))
        self._keep = keep or (lambda messages: None)
        self.system = system
        self.messages: list[dict[str, Any]] = []
        self.attached: list[Attached] = []
        """Media of the next message."""
        self._snapshot: Snapshot | None = None
        self.clear()

    def unknown(self) -> list[str]:
        """Variables that the chat template has no word of."""
        source = self.llm.inner.template_source or ""
        return [name for name in self.variables if name not in source]

    def clear(self, system: str | None = None) -> None:
        """Forget everything but the system message, what is attached too, or begin with a new
        one."""
        self.system = system if system is not None else self.system
        self.messages = [{"role": "system", "content": self.system}] if self.system else []
        self._snapshot = None
        self.attached = []

    def ask(
        self,
        text: str,
        params: SamplingParams,
        show: Callable[[str], None],
        attached: Sequence[Attached] = (),
    ) -> RequestResult:
        """Answer a message, with as many rounds of tools as the model requests, up to ROUNDS.

        `show` gets the answer's text as it comes; KeyboardInterrupt ends the answer, which is kept
        as far as it came. `dropped` is then the number of older messages that were left out for
        want of context. Raises RequestError, and then forgets the message.
        """
        self.dropped = 0
        content: str | list[Any] = text
        if attached:
            content = [*(item.part for item in attached), {"type": "text", "text": text}]
        toolbox = self._toolbox()
        turn = Turn(
            self.llm.inner,
            [*self.messages, {"role": "user", "content": content}],
            params,
            toolbox,
            variables=self.variables,
        )

        def notify(call: ToolCall) -> None:
            self.notify(f"{call.name}({call.arguments:.200})")

        loop = ToolLoop(turn, toolbox, ROUNDS, notify=notify)
        while True:
            request = self._request(turn, params)
            if toolbox.tools:
                shown = Shown(turn.parser(), show)
                result = self._answer(request, shown)
                shown.finish()
            else:
                result = self._answer(request, show)
            if not loop.next_round([result]):
                break
        answer = loop.completion.content if toolbox.tools else result.text
        self.messages = [*turn.whole_messages(), {"role": "assistant", "content": answer}]
        self._keep(self.messages)
        return result

    def resume(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Continue with other messages than there are, if these are any."""
        if messages:
            self.clear()
            self.messages = [dict(message) for message in messages]
            first = self.messages[0]
            self.system = first.get("content") if first.get("role") == "system" else None

    def attach(self, named: str | Path, kind: str = "image") -> None:
        """Add an image, "audio" or a "video", a file or a URL, to the next message. Raises
        RequestError for what cannot be one here."""
        item = attached_file(named, kind)
        self.llm.inner.media_items([item])
        self.attached.append(item)

    def undo(self) -> str | None:
        """Forget what is attached to the next message; or else the last message of the user and
        what followed. Returns its text, if any, or what was attached."""
        if self.attached:
            names = ", ".join(each.where for each in self.attached)
            self.attached = []
            return names
        for index in reversed(range(len(self.messages))):
            if self.messages[index]["role"] == "user":
                text = _texts(self.messages[index]["content"])
                del self.messages[index:]
                return text
        return None

    def _request(self, turn: Turn, params: SamplingParams) -> Request:
        """The request for an answer, without the oldest messages if there is no space for it."""
        context = self.llm.context_length
        space = context - min(params.max_tokens or context // 4, context // 2)
        whole = turn.requests()[0]
        if not self.drops or len(whole.prompt) <= space:
            return whole
        # what is left begins with a message of the user, as templates require
        head = [message for message in turn.messages[:1] if message["role"] == "system"]
        before = list(turn.messages)
        for start, message in enumerate(before):
            if start > len(head) and message["role"] == "user":
                turn.messages[:] = [*head, *before[start:]]
                request = turn.requests()[0]
                if len(request.prompt) <= space:
                    self.dropped += start - len(head)
                    return request
        turn.messages[:] = before
        return whole if len(whole.prompt) < context else self._last(turn, before, head)

    def _last(self, turn: Turn, before: list[Any], head: list[Any]) -> Request:
        """Only the newest message; it alone may be too long, which the engine reports."""
        newest = max(i for i, message in enumerate(before) if message["role"] == "user")
        turn.messages[:] = [*head, *before[newest:]]
        self.dropped += newest - len(head)
        return turn.requests()[0]

    def continue_text(
        self, text: str, params: SamplingParams, show: Callable[[str], None], *, echo: bool = False
    ) -> RequestResult:
        """Continue plain text, without a template, after all that was there before.

        echo: whether the text itself is shown too, once the request is accepted.
        """
        before = "".join(str(m["content"]) for m in self.messages if m["role"] == "text")
        wanted = params.with_defaults(self.llm.inner.defaults)
        prompt = self.llm.inner.encode(before + text)
        applied = self.llm.inner.applied(wanted.adapter, None)
        request = Request(prompt=prompt, params=wanted, continues=True, adapters=applied)
        result = self._answer(request, show, text if echo else "")
        self.messages.append({"role": "text", "content": text + result.text})
        return result

    def save(self, path: Path) -> None:
        save(path, Session(tuple(self.messages), self._snapshot), self.llm.inner)

    def load(self, path: Path) -> None:
        session = read(path, self.llm.inner)
        self.messages, self.system = [], None
        self.resume(session.messages)
        self._snapshot = session.snapshot
        self.attached = []

    def _answer(
        self, request: Request, show: Callable[[str], None], before: str = ""
    ) -> RequestResult:
        # a snapshot ends where the first image or sound begins; the prefix cache knows these
        resume = None if request.media is not None else self._snapshot
        request = replace(request, resume=resume, keep=True)
        result: RequestResult | None = None
        events = self.llm.stream(request)
        if before:
            show(before)
        while result is None:
            try:
                for event in events:
                    show(event.text)
                    if isinstance(event, Finished):
                        result = event.result
            except KeyboardInterrupt:
                events.cancel()
        if result.error is not None:
            raise RequestError(f"the request failed: {result.error}")
        self._snapshot = result.snapshot
        return result


def _texts(content: Any) -> str:
    return joined(content) if isinstance(content, list) else str(content)
