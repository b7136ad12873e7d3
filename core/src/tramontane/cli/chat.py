"""The interactive chat of `tramontane run`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane import folders
from tramontane.chat.thinking import thinking_variables
from tramontane.errors import TramontaneError

from .figures import figures
from .paint import paint

if TYPE_CHECKING:
    from tramontane.sampling_params import SamplingParams

    from .conversation import Conversation

HELP = """\
/help                this
/exit                leave; so does Ctrl-D
/clear               forget the conversation
/system TEXT         begin again with another system message
/temperature X       0: always the likeliest token
/topk N  /topp X     keep the likeliest tokens
/seed N              the same seed gives the same answers
/think on|off|TEXT   reason before answering, or how much
/save FILE           keep the conversation
/load FILE           go on with one that was kept
A line that ends in \\ goes on; lines between two lines of \"\"\" are one message.
Ctrl-C stops an answer."""
FIELDS: dict[str, tuple[str, type[int] | type[float]]] = {
    "/temperature": ("temperature", float),
    "/topk": ("top_k", int),
    "/topp": ("top_p", float),
    "/seed": ("seed", int),
}
REMEMBERED = 1000
"""Lines of history that are kept."""


class Leave(Exception):
    """The user is done."""


def chat(conversation: Conversation, params: SamplingParams, *, quiet: bool) -> None:
    """Read, answer, repeat, until Ctrl-D or /exit."""
    keep = _history()
    name = Path(conversation.llm.report.path).name
    print(paint(f"{name}: /help lists what you can type, Ctrl-D leaves", "dim"))
    try:
        while True:
            try:
                text = read_message(input)
                if text.startswith("/"):
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
        keep()


def answer(conversation: Conversation, text: str, params: SamplingParams, quiet: bool) -> None:
    """One turn, shown as it comes."""
    result = conversation.ask(text, params, lambda part: print(part, end="", flush=True))
    print()
    if not quiet:
        print(paint(figures(result), "dim"), file=sys.stderr)


def read_message(read: Callable[[str], str]) -> str:
    """A message of one line or several. Raises EOFError when there is no more."""
    line = read("> ")
    if line.strip() == '"""':
        lines = []
        while (line := read(". ")).strip() != '"""':
            lines.append(line)
        return "\n".join(lines)
    lines = []
    while line.endswith("\\"):
        lines.append(line[:-1])
        line = read(". ")
    return "\n".join([*lines, line])


def command(text: str, conversation: Conversation, params: SamplingParams) -> SamplingParams:
    """Obey a line that begins with a slash; returns the parameters that hold from now on."""
    name, _, value = text.strip().partition(" ")
    value = value.strip()
    if name in ("/exit", "/quit"):
        raise Leave
    if name == "/clear":
        conversation.clear()
        print("(forgotten)")
    elif name == "/system":
        conversation.clear(value)
        print("(a new conversation)")
    elif name == "/think":
        _think(value, conversation)
    elif name in ("/save", "/load"):
        if not value:
            print(f"{name} needs a file's name")
        elif name == "/save":
            conversation.save(Path(value).expanduser())
            print(f"(saved to {value})")
        else:
            conversation.load(Path(value).expanduser())
            print(f"(loaded: {len(conversation.messages)} messages)")
    elif name in FIELDS:
        return _set(name, value, params)
    else:
        if name != "/help":
            print(f"there is no command {name}")
        print(HELP)
    return params


def _think(value: str, conversation: Conversation) -> None:
    if value:
        on_or_off = {"on": True, "off": False}.get(value)
        effort = None if on_or_off is not None else value
        conversation.variables = thinking_variables(effort, on_or_off)
        for unknown in conversation.unknown():
            print(f"(the chat template does not know {unknown}, which changes nothing)")
    said = [f"{name} is {told}" for name, told in conversation.variables.items()]
    print(f"({', '.join(said) or 'as the chat template has it'})")


def _set(name: str, value: str, params: SamplingParams) -> SamplingParams:
    field, kind = FIELDS[name]
    if not value:
        print(f"{name} is {getattr(params, field)}")
        return params
    try:
        number = kind(value)
    except ValueError:
        print(f"{name} takes a number, not {value!r}")
        return params
    return type(params)(**{**dict(params), field: number})


def _history() -> Callable[[], None]:
    """Earlier lines at the arrow keys; returns what keeps them. Works without, too."""
    try:
        import readline
    except ImportError:  # not on this system
        return lambda: None
    path = folders.cache() / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            readline.read_history_file(path)
    except OSError:
        return lambda: None
    readline.set_history_length(REMEMBERED)

    def keep() -> None:
        try:
            readline.write_history_file(path)
        except OSError as error:
            print(f"(cannot keep the history in {path}: {error.strerror})", file=sys.stderr)

    return keep
