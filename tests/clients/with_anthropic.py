"""Anthropic's own client."""

from __future__ import annotations

import anthropic
from anthropic import beta_tool
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect

feature = Features("anthropic")
ASK = [{"role": "user", "content": CITY}]
GREEDY = {"temperature": 0}


class Place(BaseModel):
    city: str
    warm: bool


@beta_tool
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return "hail, 7 degrees"


def client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)


@feature("messages")
def messages(url: str) -> None:
    asked = [{"role": "user", "content": STORY}]
    answer = client(url).messages.create(model="default", max_tokens=20, messages=asked)
    expect(answer.content[0].text, "text")


@feature("messages, streamed")
def streamed(url: str) -> None:
    with client(url).messages.stream(model="default", max_tokens=20, messages=ASK) as stream:
        expect("".join(stream.text_stream), "text")


@feature("count_tokens")
def count_tokens(url: str) -> None:
    expect(client(url).messages.count_tokens(model="default", messages=ASK).input_tokens, "tokens")


@feature("tool runner")
def tool_runner(url: str) -> None:
    runner = client(url).beta.messages.tool_runner(
        model="default", max_tokens=100, tools=[get_weather], messages=ASK, extra_body=GREEDY
    )
    expect("hail" in runner.until_done().content[0].text, "the result in the answer")


@feature("tool runner, streamed, thread=False")
def tool_runner_streamed(url: str) -> None:
    runner = client(url).beta.messages.tool_runner(
        model="default", max_tokens=100, tools=[get_weather], messages=ASK, extra_body=GREEDY,
        stream=True, thread=False,
    )  # fmt: skip
    texts = ["".join(stream.text_stream) for stream in runner]
    expect("hail" in texts[-1], "the result in the answer")


@feature("a named tool that is not strict")
def named_tool(url: str) -> None:
    tool = {"name": "Place", "description": "A place.", "input_schema": Place.model_json_schema()}
    answer = client(url).messages.create(
        model="default", max_tokens=100, messages=ASK, tools=[tool], extra_body=GREEDY,
        tool_choice={"type": "tool", "name": "Place"},
    )  # fmt: skip
    Place.model_validate(answer.content[0].input)


@feature("messages.parse")
def parse(url: str) -> None:
    answer = client(url).messages.parse(
        model="default", max_tokens=100, messages=ASK, output_format=Place
    )
    expect(isinstance(answer.parsed_output, Place), "parsed_output")


@feature("models")
def models(url: str) -> None:
    found = client(url).models.list(limit=1)
    expect(found.data[0].display_name, "display_name")
    expect(client(url).models.retrieve(found.data[0].id).created_at, "created_at")


if __name__ == "__main__":
    feature.main()
