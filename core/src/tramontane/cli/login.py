"""`tramontane login`: keep a token of the hub where its client looks for one."""

from __future__ import annotations

import getpass
import sys

from tramontane.errors import DownloadError, UsageError

from .parser import Parser

SUMMARY = "Keep a token of the hub (huggingface.co/settings/tokens), for models that need one."


def run(argv: list[str]) -> int:
    """Ask the hub whose token it is, and keep it."""
    parser = Parser("tramontane login", description=SUMMARY)
    parser.add_argument(
        "--token", help="the token, hf_...; without it, it is asked for, or read from a pipe"
    )
    options = parser.parse_args(argv)
    token = (options.token if options.token is not None else _asked()).strip()
    if not token.startswith("hf_") or not token.isascii() or len(token.split()) != 1:
        raise UsageError("a token of the hub begins with hf_ and has no spaces")
    name = _owner(token)
    from huggingface_hub import login
    from huggingface_hub.constants import HF_TOKEN_PATH

    try:
        login(token=token, add_to_git_credential=False)
    except (OSError, ValueError) as error:
        raise DownloadError(f"the token cannot be kept: {_first_line(error)}") from error
    print(f"logged in as {name}; the token is in {HF_TOKEN_PATH}")
    return 0


def _asked() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("token (hf_..., not shown): ")
    return sys.stdin.readline()


def _owner(token: str) -> str:
    """Whose token it is. Raises DownloadError where the hub does not take it."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().whoami(token=token)["name"])
    except OSError as error:  # all of the client's and of the network's are
        raise DownloadError(f"the hub does not take the token: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
