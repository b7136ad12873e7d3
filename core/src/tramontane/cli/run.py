"""`tramontane run`: chat with a model, or answer once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import ModelNotFound, RequestError, UsageError

from .acting import Acting, Kept, add_tools, check_tools
from .adapter_options import adapters, add_adapters, chosen_adapters
from .color import paint
from .grammar import loose_schema
from .media_options import add_media, media_options
from .options import add_model, add_sampling, add_threads, given_sampling, open_llm, sampling
from .parser import Parser
from .stats import as_json, figures, since_start

if TYPE_CHECKING:
    from tramontane.chat.toolbox import Toolbox
    from tramontane.llm import LLM
    from tramontane.mcp import McpConfig

    from .conversation import Conversation

SUMMARY = "Chat with a model; with -i, --prompt-file or piped input, answer once."
EXAMPLES = """\
examples:
  tramontane run                                       chat with the embedded model
  tramontane run model.gguf -i "Tell me a story"       answer once
  tramontane run org/name --temperature 0.2 --seed 7
  tramontane run org/name --tools search,files         asks before it goes to the web
  echo "Once upon a time" | tramontane run --no-template -n 50
  tramontane run --prompt-file ask.txt -i "the text that replaces {{PROMPT}}"
"""
MEDIA = ("image", "audio", "video")
"""Options that attach something to the text, by the kind of what they attach."""
CHAT_DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""For a person who talks to a model that says nothing about sampling itself."""


def run(argv: list[str]) -> int:
    """Answer once, or chat until the user leaves."""
    options = _parse(argv)
    if options.logprobs is not None and not options.json:
        raise UsageError("--logprobs is part of what --json prints: give both, or neither")
    for name in ("mcp_config", "tools", "session"):
        if getattr(options, name) and options.no_template:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} needs a chat, and --no-template continues plain text")
    if options.tool_option and not options.tools:
        raise UsageError("--tool-option is of a toolset, and there is none: --tools NAME")
    check_tools(options)
    if options.session and (options.load_session or options.persist_session):
        raise UsageError(
            "--session loads and saves by itself: leave the other sessions' options out"
        )
    if options.no_template and (options.reasoning_effort or options.thinking is not None):
        raise UsageError("reasoning needs a chat template, and --no-template continues plain text")
    given = given_sampling(options)
    prompt = _prompt(options)
    if not options.quiet and (hint := loose_schema(given.get("grammar"))):
        print(hint, file=sys.stderr)
    if prompt is None and options.json:
        raise UsageError("--json answers once: give -i TEXT, --prompt-file, or piped input")
    with _opened(options) as llm, ExitStack() as stack:
        from tramontane.chat.thinking import thinking_variables

        from .conversation import Conversation

        ready = since_start()
        variables = thinking_variables(options.reasoning_effort, options.thinking)
        kept = Kept(options.session, options.session_store) if options.session else None
        conversation = Conversation(
            llm, options.system, _tell, variables, drops=prompt is None,
            toolbox=_toolbox(options, llm, stack), keep=None if kept is None else kept.save,
        )  # fmt: skip
        if kept is not None:
            conversation.resume(kept.messages())
        for unknown in conversation.unknown():
            _tell(f"the chat template has no variable {unknown}, so it has no effect")
        session = options.load_session or options.persist_session
        if session is not None and (options.load_session or session.exists()):
            conversation.load(session)
        drawn = any(name in llm.inner.defaults for name in ("temperature", "do_sample"))
        # plain continuation is greedy unless asked otherwise, as the Python API is
        defaults = {} if drawn or options.no_template else _available(llm.inner)
        params = sampling(given, **defaults)
        params = params.model_copy(update={"adapter": chosen_adapters(options)})
        try:
            if prompt is None or options.no_template:
                _refuse_media(options)
            if prompt is not None:
                _once(conversation, prompt, params, options, ready)
            else:
                from .chat import chat

                chat(conversation, params, quiet=options.quiet, ready=ready)
        finally:
            target = options.save_session or options.persist_session
            if target is not None:
                conversation.save(target)
    return 0


def _toolbox(
    options: argparse.Namespace, llm: LLM, stack: ExitStack
) -> Callable[[], Toolbox] | None:
    if not options.tools and options.approvals is None:
        return None
    acting = Acting(options, llm, sys.stdin.isatty)
    return stack.enter_context(acting).toolbox


def _opened(options: argparse.Namespace) -> LLM:
    try:
        more = {**adapters(options), **media_options(options)}
        return open_llm(options, mcp=_servers(options.mcp_config), **more)
    except ModelNotFound as error:
        if "/" in options.model or options.input is not None:
            raise
        raise ModelNotFound(f"{error}; a text to answer goes after -i") from error


def _servers(path: Path | None) -> McpConfig | None:
    """Without a server that was named the answer would be another one, and nobody would know."""
    from tramontane.mcp.config import read_config

    return None if path is None else read_config(path).all_required()


def _available(inner: Any) -> dict[str, Any]:
    """The chat defaults, if the samplers that they need are installed."""
    from tramontane.plugin import Sampler

    fields = {field for offer in inner.registry.all(Sampler) for field in offer.fields}
    return dict(CHAT_DEFAULTS) if fields >= set(CHAT_DEFAULTS) else {}


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane run",
        stray="a text to answer goes after -i, a model after -m",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-i", "--input", metavar="TEXT", help="answer this text and exit")
    parser.add_argument(
        "--prompt-file", type=Path, metavar="FILE",
        help="the prompt; {{PROMPT}} in it is replaced by -i or piped input",
    )  # fmt: skip
    parser.add_argument(
        "--image", metavar="FILE", action="append", default=[],
        help="an image that the text is about, a file or a URL, for models that take any; "
        "repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--video", metavar="FILE", action="append", default=[],
        help="a video likewise, for models that take any; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--audio", metavar="FILE", action="append", default=[],
        help="a sound likewise, for models that take any; repeatable",
    )  # fmt: skip
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument(
        "--no-template", action="store_true", help="continue plain text, without the chat template"
    )
    parser.add_argument(
        "--thinking", action=argparse.BooleanOptionalAction,
        help="reason before answering or not, if the chat template has a switch for it",
    )  # fmt: skip
    parser.add_argument(
        "--reasoning-effort", metavar="TEXT",
        help="how much: low, medium, high, as the template has it; off: none",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object instead of text")
    parser.add_argument(
        "--logprobs",
        type=int,
        metavar="N",
        help="with --json: the N most likely tokens of each position",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="do not print the line of figures"
    )
    parser.add_argument(
        "--mcp-config", type=Path, metavar="FILE",
        help="JSON file with MCP servers whose tools the model may call",
    )  # fmt: skip
    add_tools(parser)
    group = parser.add_argument_group("sessions")
    group.add_argument(
        "--save-session", type=Path, metavar="FILE", help="save the conversation at the end"
    )
    group.add_argument(
        "--load-session", type=Path, metavar="FILE", help="continue a saved conversation"
    )
    group.add_argument(
        "--persist-session", type=Path, metavar="FILE", help="load if it exists, save at the end"
    )
    add_model(parser)
    add_threads(parser)
    add_media(parser)
    add_adapters(parser)
    add_sampling(parser)
    return parser.parse_args(argv)


def _prompt(options: argparse.Namespace) -> str | None:
    """What to answer once; None: chat. Reads piped input only when nothing else is given."""
    text: str | None = options.input
    wants_input = options.prompt_file is None or "{{PROMPT}}" in _read(options.prompt_file)
    if text is None and wants_input and not sys.stdin.isatty():
        text = _decoded(sys.stdin.buffer.read(), "standard input")
        # an empty pipe is no prompt: a service manager's /dev/null, say
        if options.prompt_file is None and not text.strip():
            raise RequestError("the input is empty: give -i TEXT, or run in a terminal to chat")
    if options.prompt_file is None:
        return text
    template = _read(options.prompt_file)
    if "{{PROMPT}}" in template:
        if text is None:
            raise RequestError(
                f"{options.prompt_file} has {{{{PROMPT}}}}: give its text with -i TEXT"
            )
        return template.replace("{{PROMPT}}", text)
    if text is not None:
        raise RequestError(
            f"-i cannot be inserted into {options.prompt_file}: it has no {{{{PROMPT}}}}"
        )
    return template


def _refuse_media(options: argparse.Namespace) -> None:
    for kind in MEDIA:
        if getattr(options, kind) and options.no_template:
            raise UsageError(f"--{kind} needs the chat template: leave --no-template out")
        if getattr(options, kind):
            raise UsageError(f"--{kind} goes with a text: -i TEXT; in a chat, /{kind} FILE")


def _tell(call: str) -> None:
    print(paint(f"[{call}]", "dim"), file=sys.stderr)


def _read(path: Path) -> str:
    try:
        return _decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is not UTF-8 text: byte {error.start} is wrong") from error


def _once(
    conversation: Conversation,
    prompt: str,
    params: Any,
    options: argparse.Namespace,
    ready: float,
) -> None:
    def show(text: str) -> None:
        if not options.json:
            print(text, end="", flush=True)

    if options.no_template:
        result = conversation.continue_text(prompt, params, show, echo=True)
    else:
        for kind in MEDIA:
            for named in getattr(options, kind):
                conversation.attach(named, kind)
        result = conversation.ask(prompt, params, show, conversation.attached)
    if options.json:
        print(json.dumps(as_json(result, conversation.llm.inner.name)))
        return
    if not result.text.endswith("\n"):
        print()
    if not options.quiet:
        line = figures(result, context=conversation.llm.context_length, ready=ready)
        print(line, file=sys.stderr)
    if result.finish_reason == "cancelled":
        raise KeyboardInterrupt
