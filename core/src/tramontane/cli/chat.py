"""The interactive chat of `tramontane run`."""

from __future__ import annotations

import difflib
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.chat.thinking import thinking_variables
from tramontane.errors import RequestError, TramontaneError

from .color import paint
from .options import by_option
from .reader import more_waits, prepare_terminal, read_message
from .stats import figures

if TYPE_CHECKING:
    from tramontane.sampling_params import SamplingParams

    from .conversation import Conversation

HELP = """\
/help                show this help
/exit                leave; so does Ctrl-D
/clear               start a new conversation
/undo                take back what is attached, or else your last message and its answer
/system TEXT         start a new conversation with this system message
/temperature X       0: always the most likely token
/top-k N  /top-p X   keep the most likely tokens
/seed N              the same seed gives the same answers
/think on|off|LEVEL  reason before answering, or how much
/image FILE          attach an image, a file or a URL, to your next message
/audio FILE          attach a sound
/video FILE          attach a video
/adapter NAME,...    answer with these adapters; none: the model alone
/save FILE           save the conversation
/load FILE           continue a saved conversation
Without a value a setting is shown. A line that ends in \\ continues on the next one; lines that are
pasted together, or are between two lines of \"\"\", are one message. Ctrl-C stops an answer."""
FIELDS: dict[str, tuple[str, type[int] | type[float]]] = {
    "/temperature": ("temperature", float),
    "/top-k": ("top_k", int),
    "/top-p": ("top_p", float),
    "/seed": ("seed", int),
}
ALIASES = {"/topk": "/top-k", "/topp": "/top-p", "/quit": "/exit", "/bye": "/exit", "/?": "/help"}
COMMANDS = {
    "/help", "/exit", "/clear", "/undo", "/system", "/image", "/audio", "/video", "/adapter",
    "/think", "/save", "/load", *FIELDS, *ALIASES,
}  # fmt: skip
WORD = re.compile(r"/[A-Za-z?][\w-]*")


class Leave(Exception):
    """The user is done."""


def chat(
    conversation: Conversation, params: SamplingParams, *, quiet: bool, ready: float = 0
) -> None:
    """Read, answer, repeat, until Ctrl-D or /exit. ready: seconds until the model was loaded."""
    store = prepare_terminal()
    name = conversation.llm.inner.name
    loaded = f" ready in {ready:.1f} s;" if ready else ""
    print(paint(f"{name}:{loaded} /help lists the commands, Ctrl-D leaves", "dim"))
    try:
        while True:
            try:
                text = read_message(input, is_command, more_waits)
                if is_command(text):
                    params = command(text, conversation, params)
                elif text.strip():
                    answer(conversation, text, params, quiet)
            except KeyboardInterrupt:
                print("\n(Ctrl-D or /exit leaves)")
            except TramontaneError as error:
                print(f"{paint('error:', 'red')} {error}")
    except (EOFError, Leave):
        print()
    finally:
        store()


def answer(conversation: Conversation, text: str, params: SamplingParams, quiet: bool) -> None:
    """Answer one message, shown as it comes."""
    show = partial(print, end="", flush=True)
    result = conversation.ask(text, params, show, conversation.attached)
    conversation.attached = []
    print()
    if not quiet:
        context, dropped = conversation.llm.context_length, conversation.dropped
        print(paint(figures(result, context=context, dropped=dropped), "dim"), file=sys.stderr)


def is_command(text: str) -> bool:
    """Whether a line is a command, or a mistyped one; any other text is a message, whatever it
    begins with."""
    word, _, rest = text.strip().partition(" ")
    if "\n" in text or not WORD.fullmatch(word):
        return False
    return word in COMMANDS or not rest or _nearest(word) is not None


def command(text: str, conversation: Conversation, params: SamplingParams) -> SamplingParams:
    """Obey a line that begins with a slash; returns the parameters that hold from now on."""
    name, _, value = text.strip().partition(" ")
    name, value = ALIASES.get(name, name), value.strip()
    if name == "/exit":
        raise Leave
    if name == "/help":
        print(HELP)
    elif name == "/clear":
        conversation.clear()
        print("(a new conversation)")
    elif name == "/undo":
        undone = conversation.undo()
        print("(nothing to undo)" if undone is None else f"(forgotten: {_start(undone)})")
    elif name == "/system":
        _system(value, conversation)
    elif name in ("/image", "/audio", "/video"):
        _attach(name, value, conversation)
    elif name == "/think":
        _think(value, conversation)
    elif name in ("/save", "/load"):
        _file(name, value, conversation)
    elif name == "/adapter":
        return _adapter(value, conversation, params)
    elif name in FIELDS:
        return _set(name, value, params)
    else:
        near = _nearest(name)
        hint = f"did you mean {near}?" if near else "/help lists the commands"
        print(f"there is no command {name}; {hint}")
    return params


def _nearest(word: str) -> str | None:
    close = difflib.get_close_matches(word, COMMANDS, 1, 0.8)
    return close[0] if close else None


def _start(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= 60 else f"{first[:57]}..."


def _system(value: str, conversation: Conversation) -> None:
    if value:
        conversation.clear(value)
        print("(a new conversation)")
    else:
        print(f"(system: {conversation.system or 'none'})")


def _file(name: str, value: str, conversation: Conversation) -> None:
    if not value:
        print(f"{name} needs the name of a file")
    elif name == "/save":
        conversation.save(Path(value).expanduser())
        print(f"(saved to {value})")
    else:
        conversation.load(Path(value).expanduser())
        print(f"(loaded: {len(conversation.messages)} messages)")


def _attach(name: str, value: str, conversation: Conversation) -> None:
    if not value:
        print(f"{name} needs the name of a file; your next message is about it")
        return
    conversation.attach(os.path.expanduser(value), name[1:])
    print(f"({value}: your next message is about it)")


def _adapter(value: str, conversation: Conversation, params: SamplingParams) -> SamplingParams:
    loaded = conversation.llm.adapters
    if value:
        asked = None if value == "none" else value
        conversation.llm.inner.adapters.applied(asked)  # raises for one that is not there
        params = params.model_copy(update={"adapter": asked})
    print(f"(adapter: {params.adapter or 'none'}; loaded: {', '.join(loaded) or 'none'})")
    return params


def _think(value: str, conversation: Conversation) -> None:
    if value:
        on_or_off = {"on": True, "off": False}.get(value)
        effort = None if on_or_off is not None else value
        conversation.variables = thinking_variables(effort, on_or_off)
        for unknown in conversation.unknown():
            print(f"(the chat template has no variable {unknown}, so it has no effect)")
    given = conversation.variables
    state = {True: "on", False: "off"}.get(given.get("enable_thinking", ""), "the model's default")
    print(f"(thinking: {given.get('reasoning_effort', state)})")


def _set(name: str, value: str, params: SamplingParams) -> SamplingParams:
    field, kind = FIELDS[name]
    if not value:
        now = getattr(params, field)
        print(f"{name} is {'not set' if now is None else now}")
        return params
    try:
        number = kind(value)
    except ValueError:
        print(f"{name} takes a number, not {value!r}")
        return params
    try:
        return type(params)(**{**dict(params), field: number})
    except RequestError as error:
        raise RequestError(by_option(str(error)).replace("--", "/", 1)) from error
