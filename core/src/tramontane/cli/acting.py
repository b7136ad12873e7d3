"""Tools in the terminal: what `run` lets a model do, and what it asks about."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tramontane.sanitize import one_line

from .color import paint

if TYPE_CHECKING:
    from tramontane.agent.approvals import Decision, Question
    from tramontane.chat.toolbox import Toolbox
    from tramontane.llm import LLM

SHOWN = 400
"""Characters of a call that are shown with a question."""


def add_tools(parser: argparse.ArgumentParser) -> None:
    """Options of tools, and of sessions that are kept."""
    group = parser.add_argument_group("tools")
    group.add_argument(
        "--tools", action="append", default=[], metavar="NAME,...",
        help="toolsets that the model may use: search, files, skills and others; none by default",
    )  # fmt: skip
    group.add_argument(
        "--tool-option", action="append", default=[], metavar="NAME.OPTION=VALUE",
        help="an option of a toolset, such as search.url=https://HOST; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--approvals", metavar="MODE",
        help="of calls that do more than read: auto, ask or deny, or by risk: "
        "network=auto,write=ask,execute=deny (default: ask)",
    )  # fmt: skip
    group.add_argument(
        "--session", metavar="NAME", help="keep the conversation under a name, and continue it"
    )
    group.add_argument(
        "--session-store", type=Path, metavar="FILE", help="where sessions are; default: the user's"
    )


def check_tools(options: argparse.Namespace) -> None:
    """Before a model is loaded. Raises UsageError, PluginError."""
    from tramontane.agent.approvals import Policy
    from tramontane.agent.tool_options import names_of, options_of
    from tramontane.errors import UsageError
    from tramontane.plugin import Toolset
    from tramontane.registry import Registry

    if options.approvals is not None:
        Policy.of(options.approvals)
        if not options.tools and not options.mcp_config:
            raise UsageError("--approvals is of tools, and there are none: --tools or --mcp-config")
    registry = Registry.from_environment()
    offers = [registry.get(Toolset, name) for name in names_of(options.tools)]
    options_of(offers, options.tool_option)


class Acting:
    """The tools of one conversation in the terminal. A context manager.

    llm: whose tools of MCP servers are asked for too.
    Raises PluginError, UsageError, RequestError.
    """

    def __init__(self, options: argparse.Namespace, llm: LLM, answers: Callable[[], bool]) -> None:
        """answers: whether there is a person to ask."""
        from tramontane.agent.approvals import Policy
        from tramontane.agent.conversation_tools import ConversationTools
        from tramontane.agent.tool_options import names_of

        self._answers = answers
        policy = Policy.of(options.approvals or "ask")
        self._tools = ConversationTools(
            llm, names_of(options.tools), options.tool_option, policy, name=options.session
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tools.close()

    def toolbox(self) -> Toolbox:
        """The tools of the next answer."""
        return self._tools.toolbox(_asked if self._answers() else None)


def _asked(question: Question) -> Decision:
    """What the person at the terminal says. Whatever the model wrote is shown in one line."""
    from tramontane.agent.approvals import Decision

    call = one_line(f"{question.call.name}({question.call.arguments})", SHOWN)
    print(paint(f"\n[{call}: {question.risk}]", "yellow"), file=sys.stderr)
    while True:
        try:
            said = input("allow it? yes, no, or always in this session [y/n/a] ").strip().lower()
        except EOFError:
            return Decision(False)
        if said in ("y", "yes"):
            return Decision(True)
        if said in ("a", "always"):
            return Decision(True, remember=True)
        if said in ("n", "no", ""):
            return Decision(False)


class Kept:
    """A session of the store that a conversation continues. name: it may be new."""

    def __init__(self, name: str, path: Path | None) -> None:
        from tramontane.agent.session_store import SessionStore, refuse_name

        refuse_name(name)
        self._store, self._name = SessionStore(path), name

    def messages(self) -> list[dict[str, Any]]:
        """What there is of it."""
        return self._store.messages(self._name) if self._store.has(self._name) else []

    def save(self, messages: list[Mapping[str, Any]]) -> None:
        """Write it as it is now."""
        self._store.save(self._name, messages)
