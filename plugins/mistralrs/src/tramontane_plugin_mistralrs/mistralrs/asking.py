"""A request as keywords of `LLM.chat` and `LLM.generate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tramontane.chat.thinking import thinking_variables
from tramontane.chat.toolbox import Function
from tramontane.errors import RequestError
from tramontane.tools import Tool, ToolCall

from .agent import AgentToolApproval, AgentToolMetadata
from .kinds import AgentToolKind, AgentToolSource, ToolChoice
from .responses import LoraAdapterGeneration

SAME = (
    "max_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty", "temperature",
    "top_p", "top_k", "min_p", "dry_multiplier", "dry_base", "dry_allowed_length",
    "dry_sequence_breakers", "logit_bias",
)  # fmt: skip
NEEDS = "tools of an MCP server, with mcp_client_config, can do it"
REFUSED = {
    "web_search_options": f"nothing here searches the web: {NEEDS}",
    "enable_code_execution": f"nothing here runs code: {NEEDS}",
    "enable_shell": f"nothing here runs commands: {NEEDS}",
    "shell_skills": f"nothing here runs commands: {NEEDS}",
    "tool_dispatch_url": "the server sends calls away, with --tool-dispatch-url; here give "
    "tool_callbacks to the Runner",
    "files": "nothing here makes files",
    "input_files": "nothing here reads files: put their text into a message",
    "session_id": "messages hold the whole conversation: give them all",
    "truncate_sequence": "a prompt that is too long is an error that says its length",
    "suffix": "a continuation has nothing behind it",
    "code_execution_permission": "nothing here runs code",
}
"""Fields that nothing here does; None and False ask for nothing."""
GRAMMARS = ("regex", "json_schema", "lark", "llguidance")


def sampling(request: Any) -> dict[str, Any]:
    """Fields of `SamplingParams`. Raises RequestError for fields that cannot be had."""
    for name, why in REFUSED.items():
        if getattr(request, name, None) not in (None, False):
            raise RequestError(f"{name}: {why}")
    found = {name: value for name in SAME if (value := getattr(request, name, None)) is not None}
    if request.stop_seqs:
        found["stop"] = tuple(request.stop_seqs)
    if request.n_choices != 1:
        found["n"] = request.n_choices
    if getattr(request, "best_of", 1) != 1:
        found["best_of"] = request.best_of
    if getattr(request, "logprobs", False):
        found |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    if request.ignore_eos:
        found["ignore_eos"] = True
    if isinstance(request.adapter, LoraAdapterGeneration):
        raise RequestError("adapter: name it by its alias; one content of each is loaded")
    if request.adapter is not None:
        found["adapter"] = request.adapter
    if request.grammar is not None or request.grammar_type is not None:
        found["grammar"] = _grammar(request.grammar, request.grammar_type)
    return found


def _grammar(text: Any, kind: Any) -> dict[str, Any]:
    if text is None or kind not in GRAMMARS:
        raise RequestError(
            f"grammar_type={kind!r}: grammar and grammar_type go together, the latter one of "
            f"{', '.join(GRAMMARS)} (yacc was of older versions: write it as lark)"
        )
    if kind != "json_schema":
        return {"type": kind, "value": text}
    try:
        return {"type": kind, "value": json.loads(text)}
    except (TypeError, ValueError) as error:
        raise RequestError(f"grammar: the JSON schema is not JSON: {error}") from error


def chat_options(
    request: Any, callbacks: Mapping[str, Callable[..., Any]]
) -> tuple[dict[str, Any], bool]:
    """Options of a chat beside sampling, and whether calls are run here."""
    found: dict[str, Any] = {}
    variables = thinking_variables(request.reasoning_effort, request.enable_thinking)
    if variables:
        found["template_variables"] = variables
    specs = [_spec(text) for text in request.tool_schemas or ()]
    tools = [_tool(spec, callbacks) for spec in specs]
    if tools:
        found["tools"] = tools
    choice = request.tool_choice
    if choice is not None:
        found["tool_choice"] = choice.value if isinstance(choice, ToolChoice) else str(choice)
    if request.max_tool_rounds is not None:
        found["max_tool_rounds"] = request.max_tool_rounds
    if request.agent_permission is not None or request.agent_approval_callback is not None:
        found["approve"] = _approve(request)
    return found, any(isinstance(tool, Function) for tool in tools)


def _spec(text: Any) -> dict[str, Any]:
    """A tool of `tool_schemas`, JSON text of {"type": "function", "function": {...}}."""
    try:
        value = json.loads(text) if isinstance(text, str) else dict(text)
    except (TypeError, ValueError) as error:
        raise RequestError(f"tool_schemas: not the JSON of a tool: {error}") from error
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise RequestError('tool_schemas: a tool has {"function": {"name": ...}}')
    return inner


def _tool(spec: dict[str, Any], callbacks: Mapping[str, Callable[..., Any]]) -> Any:
    name = spec["name"]
    tool = Tool(
        name=name, description=spec.get("description") or "",
        parameters=spec.get("parameters") or {}, strict=bool(spec.get("strict")),
    )  # fmt: skip
    callback = callbacks.get(name)
    if callback is None:
        return tool
    return Function(tool, lambda **arguments: str(callback(name, arguments)))


def _approve(request: Any) -> Callable[[ToolCall], bool | str]:
    permission = getattr(request.agent_permission, "value", request.agent_permission) or "ask"
    callback = request.agent_approval_callback

    def approve(call: ToolCall) -> bool | str:
        if permission == "auto":
            return True
        if permission == "deny" or callback is None:
            return "the owner does not allow it"
        metadata = AgentToolMetadata(AgentToolSource.User, AgentToolKind.Custom, call.name)
        answer = callback(AgentToolApproval(call.id, "", 0, metadata, call.arguments))
        if isinstance(answer, bool):
            return answer
        allowed = answer.decision.value == "approve"
        return True if allowed else (answer.message or "it was denied")

    return approve
