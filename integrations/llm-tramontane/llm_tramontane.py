"""A plugin of llm that runs models by Tramontane, in the same process."""

import json
from base64 import b64encode
from functools import cache

import llm
import tramontane
from pydantic import create_model
from tramontane.registry import Registry
from tramontane.tools import Tool

TYPES = {"image": "png jpeg webp gif", "audio": "wav x-wav mpeg ogg flac", "video": "mp4 webm"}
KINDS = {str: "model stop", int: "max_tokens top_k seed", float: "temperature top_p min_p"}
FIELDS = {name: (kind | None, None) for kind in KINDS for name in KINDS[kind].split()}


@llm.hookimpl
def register_models(register):
    from huggingface_hub.constants import HF_HUB_CACHE
    from tramontane.hub.stored_models import stored_models

    stored = [model.name for model in stored_models(HF_HUB_CACHE) if model.complete]
    for name in dict.fromkeys([*Registry.from_environment().names("models"), *stored]):
        register(Tramontane(name))


@cache
def opened(name):
    return tramontane.LLM(name)


class Tramontane(llm.Model):
    can_stream = supports_schema = supports_tools = True
    Options = create_model("Options", __base__=llm.Options, **FIELDS)

    def __init__(self, name):
        self.name, self.model_id = name, f"tramontane/{name}"

    @property
    def attachment_types(self):
        kinds = opened(self.name).inner.processors
        return {f"{kind}/{each}" for kind in kinds for each in TYPES[kind].split()}

    def execute(self, prompt, stream, response, conversation):
        given = prompt.options.model_dump(exclude_none=True)
        model = opened(given.pop("model", self.name))
        messages = [each for message in prompt.messages for each in written(message)]
        schemas = [(t.name, t.description or "", t.input_schema) for t in prompt.tools]
        tools = [Tool(name=a, description=b, parameters=c) for a, b, c in schemas]
        if stream and not tools:
            for chunk in model.chat(messages, schema=prompt.schema, stream=True, **given):
                yield from (each.text for each in chunk.deltas if type(each).__name__ == "Content")
                usage = chunk.result and chunk.result.usage
        else:
            answer = model.chat(messages, schema=prompt.schema, tools=tools, **given)
            yield answer.content
            usage = answer.usage
            for call in answer.tool_calls:
                response.add_tool_call(llm.ToolCall(call.name, json.loads(call.arguments), call.id))
        response.set_usage(input=usage.prompt_tokens, output=usage.completion_tokens)


def written(message):  # as chat templates have it
    parts, calls = [], []
    for part in message.parts:
        if (kind := type(part).__name__) == "TextPart":
            parts.append({"type": "text", "text": part.text})
        elif kind == "AttachmentPart":
            data, type_ = part.attachment.content_bytes(), part.attachment.resolve_type()
            key, url = f"{type_.split('/')[0]}_url", b64encode(data).decode()
            parts.append({"type": key, key: {"url": f"data:{type_};base64,{url}"}})
        elif kind == "ToolCallPart":
            function = {"name": part.name, "arguments": json.dumps(part.arguments)}
            calls.append({"type": "function", "id": part.tool_call_id, "function": function})
        elif kind == "ToolResultPart":
            yield {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.output}
    if parts or calls:
        yield {"role": message.role, "content": parts or "", "tool_calls": calls}
