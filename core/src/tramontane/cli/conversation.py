"""A conversation with a model: messages, what the model has computed of them, and one more turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.engine.request import Finished, Request, RequestResult
from tramontane.engine.session_file import Session, read, save
from tramontane.engine.snapshot import Snapshot
from tramontane.errors import RequestError

if TYPE_CHECKING:
    from tramontane.llm import LLM
    from tramontane.sampling_params import SamplingParams


class Conversation:
    """Keeps the cache of earlier turns, so that only what is new is computed."""

    def __init__(self, llm: LLM, system: str | None = None) -> None:
        self.llm = llm
        self.system = system
        self.messages: list[dict[str, Any]] = []
        self._snapshot: Snapshot | None = None
        self.clear()

    def clear(self, system: str | None = None) -> None:
        """Forget everything but the system message, or begin with a new one."""
        self.system = system if system is not None else self.system
        self.messages = [{"role": "system", "content": self.system}] if self.system else []
        self._snapshot = None

    def ask(self, text: str, params: SamplingParams, show: Callable[[str], None]) -> RequestResult:
        """One turn. `show` gets the answer's text as it comes; KeyboardInterrupt ends the answer,
        which is kept as far as it came. Raises RequestError, and then forgets the turn."""
        self.messages.append({"role": "user", "content": text})
        try:
            result = self._answer(self.llm.inner.encode_chat(self.messages), params, show)
        except BaseException:
            self.messages.pop()
            raise
        self.messages.append({"role": "assistant", "content": result.text})
        return result

    def continue_text(
        self, text: str, params: SamplingParams, show: Callable[[str], None]
    ) -> RequestResult:
        """Continue plain text, without a template, after all that was there before."""
        before = "".join(str(m["content"]) for m in self.messages if m["role"] == "text")
        result = self._answer(self.llm.inner.encode(before + text), params, show)
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

    def _answer(
        self, prompt: tuple[int, ...], params: SamplingParams, show: Callable[[str], None]
    ) -> RequestResult:
        wanted = params.with_defaults(self.llm.inner.defaults)
        request = Request(prompt=prompt, params=wanted, resume=self._snapshot, keep=True)
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
