"""OpenAI's Agents SDK, by chat completions and by responses."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect

feature = Features("openai-agents")
set_tracing_disabled(True)


class Place(BaseModel):
    city: str
    warm: bool


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return "hail, 7 degrees"


def agent(url: str, kind: Any, **more: Any) -> Agent[Any]:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    settings = ModelSettings(
        temperature=0, max_tokens=400
    )  # a story, whole: cut ones are errors there
    return Agent("teller", model=kind("default", client), model_settings=settings, **more)


def of(name: str, kind: Any) -> None:
    """The features of one of the APIs."""

    @feature(f"{name}: run")
    def run(url: str) -> None:
        expect(Runner.run_sync(agent(url, kind), STORY).final_output, "output")

    @feature(f"{name}: run_streamed")
    def streamed(url: str) -> None:
        async def ask() -> str:
            result = Runner.run_streamed(agent(url, kind), STORY)
            async for _ in result.stream_events():
                pass
            return str(result.final_output)

        expect(asyncio.run(ask()), "output")

    @feature(f"{name}: tools")
    def tools(url: str) -> None:
        said = Runner.run_sync(agent(url, kind, tools=[get_weather]), CITY).final_output
        expect("hail" in said, f"the result in {said!r}")

    @feature(f"{name}: output_type")
    def output_type(url: str) -> None:
        found = Runner.run_sync(agent(url, kind, output_type=Place), CITY).final_output
        expect(isinstance(found, Place), "a Place")


for name, kind in (("chat", OpenAIChatCompletionsModel), ("responses", OpenAIResponsesModel)):
    of(name, kind)

if __name__ == "__main__":
    feature.main()
