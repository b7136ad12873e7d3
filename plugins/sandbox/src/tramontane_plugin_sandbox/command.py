"""`tramontane sandbox`: run a command as models' commands are run, or say what holds it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tramontane.cli.parser import Parser

from .kinds import KINDS
from .limits import MIB, Limits
from .sandbox import Finished, Sandbox

EXAMPLES = """\
examples:
  tramontane sandbox
  tramontane sandbox -- python3 -c 'print(2 ** 100)'
  tramontane sandbox --folder work --seconds 5 -- sh build.sh
"""
KILLED = 137
"""The exit status where a limit has ended the command."""


def run(argv: list[str]) -> int:
    """The exit status is the command's; 137 where it was killed."""
    options = _parse(argv)
    limits = Limits(
        memory=options.memory * MIB, processes=options.processes, seconds=options.seconds
    )
    with Sandbox(
        options.folder,
        kind=options.sandbox,
        network=options.network,
        read=options.read,
        limits=limits,
    ) as sandbox:
        if not options.command:
            print(_said(sandbox))
            return 0
        data = sys.stdin.buffer.read() if options.stdin else b""
        return _shown(sandbox.run(options.command, data=data))


def _said(sandbox: Sandbox) -> str:
    limits = sandbox.limits
    lines = [
        ("sandbox", sandbox.kind),
        ("landlock", _landlock(sandbox.kind)),
        ("network", "this machine's" if sandbox.network else "none"),
        ("memory", f"{limits.memory // MIB} MiB"),
        ("processes", f"{limits.processes}"),
        ("open files", f"{limits.open_files} of a process"),
        ("files", f"{limits.disk // MIB} MiB, {limits.file_size // MIB} MiB each"),
        ("time", f"{limits.seconds:g} s, {limits.cpu} s of a processor"),
        ("output", f"{limits.output // 1024} KiB kept"),
    ]
    return "\n".join(f"{name:<12}{value}" for name, value in lines)


def _landlock(kind: str) -> str:
    if kind not in ("bubblewrap", "namespaces"):
        return "no"
    from .inside import landlock  # Linux's alone

    version = landlock.version()
    return f"version {version}" if version else "this kernel has none"


def _shown(finished: Finished) -> int:
    ended = finished.ended
    sys.stdout.write(finished.stdout)
    sys.stdout.flush()
    sys.stderr.write(finished.stderr)
    if ended.how == "exit":
        return ended.status
    if ended.how == "signal":
        return 128 + ended.status
    print(f"killed: {ended.why}" if ended.how != "failed" else ended.why, file=sys.stderr)
    return 127 if ended.how == "failed" else KILLED


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        "tramontane sandbox",
        description="Run a command in the sandbox of models' code, or say what it holds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="the command, after --; none: say what holds it",
    )
    parser.add_argument(
        "--sandbox", default="auto", choices=KINDS, help="which one; off isolates nothing"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="PATH", help="the writable folder; a new one without"
    )
    parser.add_argument(
        "--read", type=Path, action="append", default=[], metavar="PATH", help="is readable too"
    )
    parser.add_argument(
        "--stdin", action="store_true", help="standard input, to its end, is the command's too"
    )
    parser.add_argument("--network", action="store_true", help="all of this machine's network")
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB", help="default 2048")
    parser.add_argument("--processes", type=int, default=64, metavar="N", help="default 64")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="default 60")
    return parser.parse_args(argv)
