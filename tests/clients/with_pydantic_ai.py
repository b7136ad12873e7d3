"""Pydantic AI, by its models for chat, responses and messages."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from .feature import CITY, STORY, Features, expect

feature = Features("pydantic-ai-slim")
SETTINGS: Any = {"temperature": 0, "max_tokens": 100}


class Place(BaseModel):
    """A place."""

    city: str
    warm: bool


def chat(url: str) -> Any:
    return OpenAIChatModel("default", provider=OpenAIProvider(f"{url}/v1", api_key="none"))


def responses(url: str) -> Any:
    return OpenAIResponsesModel("default", provider=OpenAIProvider(f"{url}/v1", api_key="none"))


def messages(url: str) -> Any:
    # what it takes a model to be able to do comes from its name
    return AnthropicModel(
        "claude-sonnet-4-5", provider=AnthropicProvider(base_url=url, api_key="none")
    )


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "hail, 7 degrees"


def of(name: str, model: Any) -> None:
    """The features of one of the models."""

    @feature(f"{name}: run")
    def run(url: str) -> None:
        expect(Agent(model(url), model_settings=SETTINGS).run_sync(STORY).output, "output")

    @feature(f"{name}: run_stream")
    def stream(url: str) -> None:
        async def ask() -> str:
            agent = Agent(model(url), model_settings=SETTINGS)
            async with agent.run_stream(STORY) as result:
                return "".join([piece async for piece in result.stream_text(delta=True)])

        expect(asyncio.run(ask()), "text")

    @feature(f"{name}: tools")
    def tools(url: str) -> None:
        agent = Agent(model(url), tools=[get_weather], model_settings=SETTINGS)
        expect("hail" in agent.run_sync(CITY).output, "the result in the answer")

    for kind in (ToolOutput, NativeOutput, PromptedOutput):

        @feature(f"{name}: {kind.__name__}")
        def output(url: str, kind: Any = kind) -> None:
            agent = Agent(model(url), output_type=kind(Place), model_settings=SETTINGS)
            expect(isinstance(agent.run_sync(CITY).output, Place), "a Place")


for name, model in (("chat", chat), ("responses", responses), ("messages", messages)):
    of(name, model)

if __name__ == "__main__":
    feature.main()
