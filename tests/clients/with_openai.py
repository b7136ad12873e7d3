"""OpenAI's own client."""

from __future__ import annotations

import asyncio
import json

import openai
from pydantic import BaseModel

from .feature import CITY, STORY, Features, expect

feature = Features("openai")
ASK = [{"role": "user", "content": CITY}]
PARAMETERS = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    "additionalProperties": False,
}  # fmt: skip
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a city.", "parameters": PARAMETERS,
}}  # fmt: skip


class Place(BaseModel):
    city: str
    warm: bool


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@feature("chat")
def chat(url: str) -> None:
    messages = [{"role": "user", "content": STORY}]
    answer = client(url).chat.completions.create(model="default", messages=messages, max_tokens=20)
    expect(answer.choices[0].message.content, "content")


@feature("chat, streamed, async")
def chat_streamed(url: str) -> None:
    async def ask() -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as found:
            stream = await found.chat.completions.create(
                model="default", messages=ASK, stream=True, max_tokens=20
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream])

    expect(asyncio.run(ask()), "content")


@feature("tools and their results")
def tools(url: str) -> None:
    create = client(url).chat.completions.create
    message = create(model="default", messages=ASK, tools=[TOOL], temperature=0).choices[0].message
    (call,) = message.tool_calls
    expect(json.loads(call.function.arguments) == {"city": "Lisbon"}, call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "hail, 7 degrees"}
    messages = [*ASK, message, result]
    answer = create(model="default", messages=messages, tools=[TOOL], temperature=0)
    expect("hail" in answer.choices[0].message.content, "the result in the answer")


@feature("a named tool that is not strict")
def named_tool(url: str) -> None:
    function = {"name": "Place", "description": "A place.", "parameters": Place.model_json_schema()}
    answer = client(url).chat.completions.create(
        model="default", messages=ASK, temperature=0,
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "Place"}},
    )  # fmt: skip
    Place.model_validate_json(answer.choices[0].message.tool_calls[0].function.arguments)


@feature("chat.completions.parse")
def parse(url: str) -> None:
    answer = client(url).chat.completions.parse(
        model="default", messages=ASK, response_format=Place, temperature=0
    )
    expect(isinstance(answer.choices[0].message.parsed, Place), "parsed")


@feature("completions")
def completions(url: str) -> None:
    expect(client(url).completions.create(model="default", prompt="Once").choices[0].text, "text")


@feature("responses")
def responses(url: str) -> None:
    api = client(url).responses
    first = api.create(model="default", input=STORY, max_output_tokens=20)
    expect(first.output_text, "output_text")
    again = api.create(
        model="default", input="Go on", previous_response_id=first.id, max_output_tokens=20
    )
    expect(again.output_text, "output_text")


@feature("responses.parse")
def responses_parse(url: str) -> None:
    found = client(url).responses.parse(model="default", input=CITY, text_format=Place)
    expect(isinstance(found.output_parsed, Place), "output_parsed")


@feature("responses, streamed")
def responses_streamed(url: str) -> None:
    with client(url).responses.stream(model="default", input=STORY, max_output_tokens=20) as stream:
        kinds = [event.type for event in stream]
    expect("response.completed" in kinds or "response.incomplete" in kinds, kinds[-1])


@feature("responses, stored ones")
def responses_stored(url: str) -> None:
    api = client(url).responses
    made = api.create(model="default", input=STORY, max_output_tokens=20)
    kept = api.retrieve(made.id, include=["message.output_text.logprobs"])
    expect(kept.output_text == made.output_text, "the same text")
    expect(api.input_items.list(made.id).data, "input items")


@feature("models")
def models(url: str) -> None:
    found = [model.id for model in client(url).models.list()]
    expect(client(url).models.retrieve(found[0]).id == found[0], "the same model")


if __name__ == "__main__":
    feature.main()
