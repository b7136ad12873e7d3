"""The tools of a conversation: Python functions with their schemas, and running calls."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from tramontane.errors import RequestError, TramontaneError
from tramontane.tools import Risk, Tool, ToolCall, ToolResult

LONGEST_RESULT = 64_000
"""Maximum length in characters of a result that is passed to the model."""
NAME = re.compile(r"[\w.:/-]+")
ARGUMENT = re.compile(r"^\s*:?(?:param\s+)?(\w+)\s*(?:\([^)]*\))?:\s*(.+)$")
Approve: TypeAlias = Callable[[ToolCall], bool | str | Awaitable[bool | str]]
"""Whether a call may run; a string is the reason for a refusal, passed to the model."""
Outcome: TypeAlias = str | ToolResult
"""What a call came to: the text for the model, with what else there is."""


@dataclass(frozen=True)
class Function:
    """A tool and the function that runs it. run: takes keyword arguments; may be a coroutine
    function."""

    tool: Tool
    run: Callable[..., Any]
    arguments: type[BaseModel] | None = None
    """A model that validates the arguments, in addition to the tool's schema."""
    timeout: float | None = None
    """Seconds for a call; None: the toolbox's timeout."""
    risk: Risk = "execute"
    """What a call may do, by which an agent's approvals go."""


@dataclass
class Toolbox:
    """The tools that a model may call in a conversation.

    choice: auto, none, required, a tool's name, or a list of names: at most one of these.
    parallel: whether an answer may have several calls. approve: called before a call is run, for
    one call after the other, and not counted in its time; it may be a coroutine function.
    timeout: seconds for one call. longest: characters of a result that the model is given.
    """

    tools: Sequence[Any] = ()
    choice: str | Sequence[str] = "auto"
    parallel: bool = True
    approve: Approve | None = None
    timeout: float = 30.0
    longest: int = LONGEST_RESULT
    watch: Callable[[ToolCall, Outcome | None], None] | None = None
    """Called by `run_async` as a call begins, with None, and with what it came to."""
    _by_name: dict[str, Tool | Function] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for given in self.tools:
            tool = tool_of(given)
            name = _spec(tool).name
            _check(_spec(tool))
            if name in self._by_name:
                raise RequestError(f"two tools are named {name!r}; give one of them another name")
            self._by_name[name] = tool
        named = [self.choice] if isinstance(self.choice, str) else list(self.choice)
        for name in named:
            if name not in self._by_name and name not in ("auto", "none", "required"):
                raise RequestError(
                    f"tool_choice {name!r} is no tool, nor auto, none or required; tools: "
                    f"{', '.join(self._by_name) or 'none'}"
                )

        if not self.timeout > 0:
            raise RequestError(
                f"tool_timeout={self.timeout!r} should be a number of seconds above 0"
            )
        if self.required and not self._by_name:
            raise RequestError(
                f"tool_choice {self.choice!r} requires a call, and there are no tools"
            )

    @property
    def offered(self) -> list[Tool]:
        """The tools that are shown to the model."""
        tools = [_spec(tool) for tool in self._by_name.values()]
        if self.choice == "none":
            return []
        if isinstance(self.choice, str):
            return tools
        return [tool for tool in tools if tool.name in self.choice]

    @property
    def allowed(self) -> list[Tool]:
        """The tools that the model may call in this round."""
        return [t for t in self.offered if self.choice in ("auto", "required", t.name)
                or not isinstance(self.choice, str)]  # fmt: skip

    @property
    def required(self) -> bool:
        """Whether an answer must be a call."""
        return isinstance(self.choice, str) and self.choice not in ("auto", "none")

    def runs(self, calls: Sequence[ToolCall]) -> bool:
        """Whether all calls can be run here: none is of a tool that has only a schema."""
        return bool(calls) and not any(
            isinstance(self._by_name.get(call.name), Tool) for call in calls
        )

    def run(self, calls: Sequence[ToolCall]) -> list[Outcome]:
        """Run the calls in parallel, each with its timeout; returns the texts for the model."""
        refusals = [self._refusal(call) for call in calls]
        started = [
            None if refusal else self._start(call)
            for call, refusal in zip(calls, refusals, strict=True)
        ]
        return [
            refusal if future is None else self._outcome(call, future)
            for call, refusal, future in zip(calls, refusals, started, strict=True)
        ]

    async def run_async(self, calls: Sequence[ToolCall]) -> list[Outcome]:
        """Like `run`, without blocking the event loop. Coroutine functions run in it."""
        return list(await asyncio.gather(*(self._await(call) for call in calls)))

    def _refusal(self, call: ToolCall) -> str:
        """Why a call may not run; empty: it may."""
        try:
            self._function(call)
            said = True if self.approve is None else self.approve(call)
            if inspect.isawaitable(said):
                said = asyncio.run(_awaited(said))
            _check_approved(said)
        except Exception as error:  # noqa: BLE001 - told to the model
            return self._failed(call, error)
        return ""

    async def _refusal_async(self, call: ToolCall) -> str:
        try:
            self._function(call)
            if self.approve is None:
                return ""
            if inspect.iscoroutinefunction(self.approve):
                said = await self.approve(call)
            else:
                said = await asyncio.to_thread(self.approve, call)
            _check_approved(await said if inspect.isawaitable(said) else said)
        except Exception as error:  # noqa: BLE001 - told to the model
            return self._failed(call, error)
        return ""

    def _start(self, call: ToolCall) -> Future[Any]:
        """Run a call in a daemon thread, which is abandoned after the timeout."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                function, arguments = self._ready(call)
                result = function.run(**arguments)
                if inspect.isawaitable(result):
                    result = asyncio.run(_awaited(result))
                future.set_result(result)
            except BaseException as error:  # noqa: BLE001 - told to the model
                future.set_exception(error)

        threading.Thread(target=work, name=f"tool-{call.name:.40}", daemon=True).start()
        return future

    def _outcome(self, call: ToolCall, future: Future[Any]) -> Outcome:
        try:
            return self._said(future.result(self._time(call)))
        except Exception as error:  # noqa: BLE001 - told to the model
            return self._failed(call, error)

    def _said(self, result: Any) -> Outcome:
        text = as_text(result, self.longest)
        return replace(result, text=text) if isinstance(result, ToolResult) else text

    async def _await(self, call: ToolCall) -> Outcome:
        refusal = await self._refusal_async(call)
        if self.watch is not None and not refusal:
            self.watch(call, None)
        outcome = refusal or await self._run_async(call)
        if self.watch is not None:
            self.watch(call, outcome)
        return outcome

    async def _run_async(self, call: ToolCall) -> Outcome:
        try:
            function = self._by_name.get(call.name)
            if isinstance(function, Function) and inspect.iscoroutinefunction(function.run):
                function, arguments = self._ready(call)
                ran = asyncio.wait_for(function.run(**arguments), self._time(call))
                return self._said(await ran)
            waiting = asyncio.wrap_future(self._start(call))
            return self._said(await asyncio.wait_for(asyncio.shield(waiting), self._time(call)))
        except Exception as error:  # noqa: BLE001 - told to the model
            return self._failed(call, error)

    def _time(self, call: ToolCall) -> float:
        function = self._by_name.get(call.name)
        own = function.timeout if isinstance(function, Function) else None
        return self.timeout if own is None else own

    def _function(self, call: ToolCall) -> Function:
        """Raises RequestError where the call is of nothing that may be called."""
        function = self._by_name.get(call.name)
        if not isinstance(function, Function) or function.tool not in self.allowed:
            names = ", ".join(tool.name for tool in self.allowed)
            raise RequestError(f"there is no tool {call.name!r}; there are: {names}")
        return function

    def _ready(self, call: ToolCall) -> tuple[Function, dict[str, Any]]:
        """The function of a call and its arguments. Raises RequestError for what cannot run."""
        function = self._function(call)
        arguments = json.loads(call.arguments)
        if function.arguments is None:
            return function, arguments
        checked = function.arguments(**arguments)
        return function, {name: getattr(checked, name) for name in type(checked).model_fields}

    def _failed(self, call: ToolCall, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"error: {call.name} gave no answer within {self._time(call):g} s"
        if isinstance(error, ValidationError):
            problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return f"error: {call.name}: {'; '.join(problems)}"
        if isinstance(error, TramontaneError):
            return f"error: {error}"
        return f"error: {call.name} failed: {type(error).__name__}: {error}"[:LONGEST_RESULT]


async def _awaited(result: Any) -> Any:
    return await result


def _check_approved(said: object) -> None:
    if said is not True:
        raise RequestError(str(said or "the user does not allow this call"))


def _check(tool: Tool) -> None:
    """Raise RequestError for a name or a schema that some call syntax cannot represent."""
    if not NAME.fullmatch(tool.name):
        raise RequestError(
            f"tool {tool.name!r:.80}: a name has letters, digits and any of _ . : / - in it"
        )
    kind = tool.parameters.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise RequestError(f"tool {tool.name}: its parameters should be an object, not {kind!r}")


def _spec(tool: Tool | Function) -> Tool:
    return tool.tool if isinstance(tool, Function) else tool


def name_of(given: Any) -> str:
    """A tool's name."""
    return _spec(tool_of(given)).name


def tool_of(given: Any) -> Tool | Function:
    """A tool from a function, a `Tool`, or a dict in OpenAI's format. Raises RequestError."""
    if isinstance(given, Tool | Function):
        return given
    if isinstance(given, Mapping):
        inner = given.get("function", given)
        if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
            raise RequestError(
                f"a tool has a name and parameters, but this has none: {given!r:.80}"
            )
        return Tool(
            name=inner["name"],
            description=inner.get("description") or "",
            parameters=inner.get("parameters") or {},
            strict=inner.get("strict") is True,
        )
    if callable(given):
        return function_tool(given)
    raise RequestError(f"{given!r:.80} is no tool: give a function, a Tool, or a dict")


def function_tool(
    function: Callable[..., Any], *, risk: Risk = "execute", timeout: float | None = None
) -> Function:
    """A function as a tool: schema from its signature, descriptions from its docstring.

    risk, timeout: as `Function` has them.

    Raises RequestError for parameters that cannot be passed by name.
    """
    name = getattr(function, "__name__", type(function).__name__)
    description, descriptions = _docstring(function)
    fields: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (TypeError, ValueError, NameError) as error:
        raise RequestError(f"tool {name}: its signature cannot be read: {error}") from error
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise RequestError(f"tool {name}: a model cannot give {parameter.name!r} by its name")
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (kind, default)
    try:
        model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema()
    except Exception as error:  # pydantic raises several for types that it does not know
        raise RequestError(f"tool {name}: its parameters have no schema: {error}") from error
    schema.pop("title", None)
    for parameter_name, about in schema.get("properties", {}).items():
        about.pop("title", None)
        if parameter_name in descriptions:
            about.setdefault("description", descriptions[parameter_name])
    tool = Tool(name=name, description=description, parameters=schema)
    return Function(tool, function, model, timeout, risk)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring's text, and its descriptions of parameters, lines of the form `name: text`."""
    try:
        names = set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = set()
    text: list[str] = []
    descriptions: dict[str, str] = {}
    for line in (inspect.getdoc(function) or "").splitlines():
        match = ARGUMENT.match(line)
        if match and match[1] in names:
            descriptions[match[1]] = match[2].strip()
        elif line.strip() not in ("Args:", "Arguments:", "Parameters:"):
            text.append(line)
    return "\n".join(text).strip(), descriptions


def as_text(result: Any, longest: int = LONGEST_RESULT) -> str:
    """A result as text for the model: strings unchanged, other values as JSON, both truncated."""
    if isinstance(result, ToolResult):
        text = result.text
    elif isinstance(result, BaseModel):
        text = result.model_dump_json()
    elif isinstance(result, str):
        text = result
    else:
        text = json.dumps(result, ensure_ascii=False, default=str)
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n(cut off: {len(text)} characters)"
