"""A Python session inside: runs pieces of code in one module, and answers with JSON lines.

What is run can reach all of this process: whoever reads the answers must take them for its words.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import itertools
import json
import os
import signal
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COROUTINE = 0x80
REPLIES = 3
MOST_SOURCES = 100
SOURCES: dict[str, str] = {}
"""Of the session's code, for the lines of tracebacks."""
HOME = os.environ.get("HOME", ".")


def main() -> None:
    """Requests are lines of JSON in standard input: `code`, and `value`, the most characters of a
    value's or an error's text. Answers have `value` and `error`, texts or null."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(REPLIES, "wb")
    os.set_inheritable(REPLIES, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 # for the session's life
    for stream in (sys.stdout, sys.stderr):  # in the order of what other programs write
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    sys.path.insert(0, "")
    sys.argv = [""]
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    process = os.getpid()
    for number, line in enumerate(requests, 1):
        answer = _answer(json.loads(line), module.__dict__, f"<code {number}>")
        if os.getpid() != process:  # the code has forked, and this is the other one
            os._exit(0)
        replies.write(json.dumps(answer).encode() + b"\n")
        replies.flush()


def _answer(request: dict[str, Any], names: dict[str, Any], file: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"value": None, "error": None}
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        value = _run(request["code"], names, file)
        if value is not None:
            names["_"] = value
            if not _drawn(value):
                answer["value"] = repr(value)[: request["value"]]
        _figures()
    except BaseException as error:  # noqa: BLE001 # whatever the code raises is its answer
        answer["error"] = _traceback(error, file)[-request["value"] :]
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the code may have replaced or closed it
                stream.flush()
    return answer


def _run(code: str, names: dict[str, Any], file: str) -> Any:
    """The value of the last expression, if the code ends with one."""
    SOURCES[file] = code
    if len(SOURCES) > MOST_SOURCES:
        del SOURCES[next(iter(SOURCES))]
    tree = ast.parse(code, file)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    _execute(compile(tree, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if not isinstance(last, ast.Expr):
        return None
    return _execute(
        compile(ast.Expression(last.value), file, "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT),
        names,
    )


def _execute(code: types.CodeType, names: dict[str, Any]) -> Any:
    value = eval(code, names)
    if code.co_flags & COROUTINE:
        import asyncio

        return asyncio.run(value)
    return value


def _traceback(error: BaseException, file: str) -> str:
    import linecache
    import traceback

    for name, code in SOURCES.items():
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).strip()


def _drawn(value: Any) -> bool:
    """Whether a value is a picture as notebooks show them; it is written into the folder."""
    draw = getattr(type(value), "_repr_png_", None)
    data = draw(value) if callable(draw) else None
    if not isinstance(data, bytes):
        return False
    with open(_free_name(), "xb") as file:
        file.write(data)
    return True


def _figures() -> None:
    """Write matplotlib's open figures into the folder, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        for number in pyplot.get_fignums():
            pyplot.figure(number).savefig(_free_name(), bbox_inches="tight")
        pyplot.close("all")


def _free_name() -> str:
    names = (os.path.join(HOME, f"picture-{number}.png") for number in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))
