"""`tramontane sessions`: conversations that were kept."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tramontane.agent.session_store import SessionStore
from tramontane.cli.parser import Parser
from tramontane.errors import RequestError, UsageError

from .plugin import SESSIONS

EXAMPLES = """\
examples:
  tramontane sessions                          what there is
  tramontane sessions show tax                 its messages
  tramontane sessions export tax tax.json      without a file, to standard output
  tramontane sessions import tax.json          or: import tax.json other-name
  tramontane sessions fork tax tax-2           a copy, to go on another way; --keep N: its beginning
  tramontane sessions rm tax
`tramontane run --session NAME` begins one, and continues it.
"""
ARGUMENTS = {"list": (0, 0), "show": (1, 1), "export": (1, 2), "import": (1, 2), "fork": (2, 2),
             "rm": (1, 100)}  # fmt: skip
WANTED = {"show": "a name", "export": "a name, and perhaps a file", "fork": "two names",
          "import": "a file, and perhaps a name", "rm": "names"}  # fmt: skip
MOST_BYTES = 256 << 20


def run(argv: list[str]) -> int:
    """Do what the action says."""
    parser = Parser(
        "tramontane sessions",
        description=SESSIONS,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "action", nargs="?", default="list", choices=tuple(ARGUMENTS), help="default: list"
    )
    parser.add_argument("argument", nargs="*", metavar="NAME", help="as the action takes them")
    parser.add_argument("--keep", type=int, metavar="N", help="fork: only the first N messages")
    parser.add_argument(
        "--session-store", type=Path, metavar="FILE", help="where sessions are; default: the user's"
    )
    parser.add_argument("--json", action="store_true", help="list: print JSON instead")
    options = parser.parse_args(argv)
    action, given = options.action, options.argument
    least, most = ARGUMENTS[action]
    if not least <= len(given) <= most:
        raise UsageError(f"sessions {action} takes {WANTED.get(action, 'no name')}")
    if options.keep is not None and (action != "fork" or options.keep < 0):
        raise UsageError("--keep N goes with sessions fork: how many of the first messages")
    with closing(SessionStore(options.session_store)) as store:
        _do(store, action, given, options)
    return 0


def _do(store: SessionStore, action: str, given: list[str], options: argparse.Namespace) -> None:
    if action == "list":
        _list(store, as_json=options.json)
    elif action == "show":
        for message in store.messages(given[0]):
            print(_shown(message))
    elif action == "export":
        _export(store, *given)
    elif action == "import":
        print(f"imported {store.imported(_read(Path(given[0])), *given[1:])}")
    elif action == "fork":
        store.fork(given[0], given[1], options.keep)
        print(f"{given[1]} is a copy of {given[0]}")
    else:
        for name in given:
            store.remove(name)
            print(f"removed {name}")


def _list(store: SessionStore, *, as_json: bool) -> None:
    found = store.sessions()
    if as_json:
        print(json.dumps([vars(one) for one in found], indent=2))
        return
    if not found:
        print("there are no sessions; tramontane run --session NAME begins one")
        return
    width = max(len("SESSION"), *(len(one.name) for one in found))
    print(f"{'SESSION':<{width}}  MESSAGES  LAST USED         TITLE")
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed))
        print(f"{one.name:<{width}}  {one.messages:>8}  {when}  {one.title}")


def _shown(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [str(part.get("text") or f"({part.get('type')})") for part in content]
        content = "\n".join(parts)
    lines = [f"{message['role']}: {content or ''}".rstrip()]
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        lines.append(f"  calls {function.get('name')}({function.get('arguments')})")
    return "\n".join(lines)


def _export(store: SessionStore, name: str, path: str | None = None) -> None:
    text = json.dumps(store.exported(name), ensure_ascii=False, indent=1) + "\n"
    if path is None:
        sys.stdout.write(text)
        return
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RequestError(f"{path} is there already; name another file, or remove it") from None
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}")


def _read(path: Path) -> object:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RequestError(
                f"{path} has more than {MOST_BYTES >> 20} MiB: no session is so large"
            )
        found: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is no exported session: it is not JSON") from error
    return found
