"""LlamaIndex's OpenAILike."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect

feature = Features("llama-index-llms-openai-like", "llama-index-core")


class Place(BaseModel):
    """A place."""

    city: str
    warm: bool


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "hail, 7 degrees"


TOOL = FunctionTool.from_defaults(get_weather)


def model(url: str, **more: Any) -> OpenAILike:
    options = {"is_chat_model": True, "is_function_calling_model": True, **more}
    return OpenAILike(
        model="default", api_base=f"{url}/v1", api_key="none", context_window=512, max_tokens=100,
        temperature=0, max_retries=0, **options,
    )  # fmt: skip


@feature("chat")
def chat(url: str) -> None:
    expect(model(url).chat([ChatMessage(role="user", content=STORY)]).message.content, "content")


@feature("chat, streamed")
def streamed(url: str) -> None:
    pieces = list(model(url).stream_chat([ChatMessage(role="user", content=STORY)]))
    expect(pieces[-1].message.content, "content")


@feature("complete, by /v1/completions")
def complete(url: str) -> None:
    expect(model(url, is_chat_model=False).complete("Once upon").text, "text")


@feature("embeddings")
def embeddings(url: str) -> None:
    made = OpenAILikeEmbedding(model_name="default", api_base=f"{url}/v1", api_key="none")
    vectors = made.get_text_embedding_batch(["hail", "a story"])
    expect(len(vectors) == 2 and len(vectors[0]) > 8, "two vectors")


@feature("predict_and_call")
def predict_and_call(url: str) -> None:
    expect("hail" in model(url).predict_and_call([TOOL], CITY).response, "the result")


@feature("structured_predict, by a tool")
def structured(url: str) -> None:
    expect(model(url).structured_predict(Place, PromptTemplate(CITY)), "a Place")


@feature("structured_predict, by response_format")
def structured_format(url: str) -> None:
    made = model(url, should_use_structured_outputs=True)
    expect(made.structured_predict(Place, PromptTemplate(CITY)), "a Place")


@feature("an agent")
def agent(url: str) -> None:
    async def ask() -> str:
        return str(await FunctionAgent(tools=[TOOL], llm=model(url)).run(CITY))

    expect("hail" in asyncio.run(ask()), "the result in the answer")


if __name__ == "__main__":
    feature.main()
