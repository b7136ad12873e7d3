"""A LlamaIndex LLM in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import LLM

import tramontane
from tramontane.answers import Content


class Tramontane(LLM):
    """A model in this process. complete continues a text, chat uses the model's template."""

    model: str = Field("default", description="a folder, a file, org/name, or an installed model")
    max_tokens: int = Field(256, description="tokens to generate at most")
    temperature: float = Field(0.1, description="0: always the most likely token")
    options: dict[str, Any] = Field({}, description="further arguments of tramontane.LLM")
    sampling: dict[str, Any] = Field({}, description="further sampling parameters")
    _llm: tramontane.LLM = PrivateAttr()

    def __init__(self, model: str = "default", **more: Any) -> None:
        super().__init__(model=model, **more)
        self._llm = tramontane.LLM(model, **self.options)

    @classmethod
    def class_name(cls) -> str:
        return "Tramontane"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self._llm.context_length, num_output=self.max_tokens,
            is_chat_model=self._llm.inner.template_source is not None, model_name=self.model,
        )  # fmt: skip

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._llm.generate(prompt, **self._with(kwargs)).text)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        answer = self._llm.chat(_written(messages), **self._with(kwargs))
        return _answered(answer.content)

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        whole = ""
        for chunk in self._llm.generate(prompt, stream=True, **self._with(kwargs)):
            whole += chunk.text
            yield CompletionResponse(text=whole, delta=chunk.text)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        whole = ""
        for chunk in self._llm.chat(_written(messages), stream=True, **self._with(kwargs)):
            text = "".join(each.text for each in chunk.deltas if isinstance(each, Content))
            whole += text
            yield _answered(whole, text)

    @llm_completion_callback()
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        return await asyncio.to_thread(self.complete, prompt, formatted, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await asyncio.to_thread(self.chat, messages, **kwargs)

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return _awaited(self.stream_complete(prompt, formatted, **kwargs))

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        return _awaited(self.stream_chat(messages, **kwargs))

    def _with(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        own = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return own | self.sampling | kwargs


async def _awaited(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _written(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    return [{"role": each.role.value, "content": each.content or ""} for each in messages]


def _answered(text: str, delta: str | None = None) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", content=text), delta=delta)
