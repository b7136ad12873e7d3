"""LangChain's chat models for OpenAI's and Anthropic's APIs, and an agent of each."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from .feature import CITY, STORY, Features, expect

feature = Features("langchain-openai", "langchain-anthropic", "langchain")


class Place(BaseModel):
    """A place."""

    city: str = Field(description="its name")
    warm: bool


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return "hail, 7 degrees"


def gpt(url: str, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="default", base_url=f"{url}/v1", api_key="none", temperature=0, max_tokens=100, **more
    )


def claude(url: str) -> ChatAnthropic:
    return ChatAnthropic(
        model="default", base_url=url, api_key="none", temperature=0, max_tokens=100
    )


def models(url: str) -> dict[str, Any]:
    return {
        "ChatOpenAI": gpt(url), "ChatOpenAI, responses": gpt(url, use_responses_api=True),
        "ChatAnthropic": claude(url),
    }  # fmt: skip


METHODS = {
    "ChatOpenAI": ("json_schema", "function_calling", "json_mode"),
    "ChatOpenAI, responses": ("json_schema", "function_calling", "json_mode"),
    "ChatAnthropic": ("json_schema", "function_calling"),
}


def of(name: str) -> None:
    """The features of one of the models."""

    @feature(f"{name}: invoke")
    def invoke(url: str) -> None:
        expect(models(url)[name].invoke(STORY).text, "text")

    @feature(f"{name}: stream")
    def stream(url: str) -> None:
        expect("".join(chunk.text for chunk in models(url)[name].stream(STORY)), "text")

    @feature(f"{name}: bind_tools")
    def bind_tools(url: str) -> None:
        calls = models(url)[name].bind_tools([get_weather]).invoke(CITY).tool_calls
        expect([call["args"] for call in calls] == [{"city": "Lisbon"}], str(calls))

    @feature(f"{name}: an agent")
    def agent(url: str) -> None:
        made = create_agent(models(url)[name], [get_weather])
        said = made.invoke({"messages": [("user", CITY)]})["messages"][-1].text
        expect("hail" in said, f"the result in {said!r}")

    for method in METHODS[name]:

        @feature(f"{name}: with_structured_output, {method}")
        def structured(url: str, method: str = method) -> None:
            asked = CITY
            if method == "json_mode":  # which promises some object, so what the prompt says counts
                asked += ' Answer in JSON: {"city": "...", "warm": true}'
            made = models(url)[name].with_structured_output(Place, method=method)
            expect(isinstance(made.invoke(asked), Place), "a Place")


for name in METHODS:
    of(name)


@feature("OpenAIEmbeddings")
def embeddings(url: str) -> None:
    # else it fetches another model's tokenizer from the web, to cut texts by it
    made = OpenAIEmbeddings(
        model="default", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False
    )
    vectors = made.embed_documents(["hail", "a story"])
    expect(len(vectors) == 2 and len(vectors[0]) > 8, "two vectors")


if __name__ == "__main__":
    feature.main()
