"""A conversation with a model: messages, what the model has computed of them, and one more turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.answers import AnswerParser, Content, Delta, Reasoning
from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.session_file import Session, read, save
from tramontane.engine.snapshot import Snapshot
from tramontane.errors import RequestError
from tramontane.toolbox import Toolbox
from tramontane.turn import Turn

if TYPE_CHECKING:
    from tramontane.llm import LLM
    from tramontane.sampling_params import SamplingParams


ROUNDS = 8
"""How often a model may call tools before it has to answer."""


class Told:
    """Shows what an answer says to the user, of its text as it comes."""

    def __init__(self, parser: AnswerParser, show: Callable[[str], None]) -> None:
        self._parser, self._show = parser, show

    def __call__(self, text: str) -> None:
        self._tell(self._parser.push(text))

    def finish(self) -> None:
        self._tell(self._parser.finish())

    def _tell(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, Content | Reasoning):
                self._show(delta.text)


class Conversation:
    """Keeps the cache of earlier turns, so that only what is new is computed."""

    def __init__(
        self,
        llm: LLM,
        system: str | None = None,
        notify: Callable[[str], None] = lambda said: None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        """notify: told of each tool call. variables: of the chat template."""
        self.llm, self.notify = llm, notify
        self.variables = dict(variables or {})
        self.system = system
        self.messages: list[dict[str, Any]] = []
        self._snapshot: Snapshot | None = None
        self.clear()

    def unknown(self) -> list[str]:
        """Variables that the chat template has no word of."""
        source = self.llm.inner.template_source or ""
        return [name for name in self.variables if name not in source]

    def clear(self, system: str | None = None) -> None:
        """Forget everything but the system message, or begin with a new one."""
        self.system = system if system is not None else self.system
        self.messages = [{"role": "system", "content": self.system}] if self.system else []
        self._snapshot = None

    def ask(self, text: str, params: SamplingParams, show: Callable[[str], None]) -> RequestResult:
        """One turn, with as many rounds of tools as the model asks for, up to ROUNDS.

        `show` gets the answer's text as it comes; KeyboardInterrupt ends the answer, which is kept
        as far as it came. Raises RequestError, and then forgets the turn.
        """
        toolbox = Toolbox(self.llm.tools())
        turn = Turn(
            self.llm.inner,
            [*self.messages, {"role": "user", "content": text}],
            params,
            toolbox,
            variables=self.variables,
        )
        for left in reversed(range(ROUNDS + 1)):
            (request,) = turn.requests()[:1]
            if toolbox.tools:
                told = Told(turn.parser(), show)
                result = self._answer(request, told)
                told.finish()
            else:
                result = self._answer(request, show)
            completion = turn.completed([result])
            if not (left and turn.calls(completion)) or result.finish_reason == "cancelled":
                break
            for call in completion.tool_calls:
                self.notify(f"{call.name}({call.arguments:.200})")
            turn.add(completion, toolbox.run(completion.tool_calls))
        said = completion.content if toolbox.tools else result.text
        self.messages = [*turn.messages, {"role": "assistant", "content": said}]
        return result

    def continue_text(
        self, text: str, params: SamplingParams, show: Callable[[str], None]
    ) -> RequestResult:
        """Continue plain text, without a template, after all that was there before."""
        before = "".join(str(m["content"]) for m in self.messages if m["role"] == "text")
        wanted = params.with_defaults(self.llm.inner.defaults)
        prompt = self.llm.inner.encode(before + text)
        result = self._answer(Request(prompt=prompt, params=wanted, continues=True), show)
        self.messages.append({"role": "text", "content": text + result.text})
        return result

    def save(self, path: Path) -> None:
        save(path, Session(tuple(self.messages), self._snapshot), self.llm.inner)

    def load(self, path: Path) -> None:
        session = read(path, self.llm.inner)
        self.messages = [dict(message) for message in session.messages]
        self._snapshot = session.snapshot
        first = self.messages[0] if self.messages else {}
        self.system = first.get("content") if first.get("role") == "system" else None

    def _answer(self, request: Request, show: Callable[[str], None]) -> RequestResult:
        request = replace(request, resume=self._snapshot, keep=True)
        result: RequestResult | None = None
        events = self.llm.stream(request)
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
