"""Read the token for a hub from its source. The token is never part of a message."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tramontane.errors import DownloadError

FORMS = "cache, none, literal:TOKEN, env:NAME or path:FILE"
LONGEST = 4096
"""Maximum length in characters; real tokens have a few hundred at most."""


@dataclass(frozen=True)
class Token:
    """value: the token; True: the one stored by `hf auth login`; False: none. source: the name of
    its source in messages."""

    value: str | bool
    source: str

    def __repr__(self) -> str:
        return f"Token(source={self.source!r})"


def read_token(source: str) -> Token:
    """The token of a source `literal:TOKEN | env:NAME | path:FILE | cache | none`.

    Raises DownloadError with the name of the source if there is no token in it.
    """
    kind, _, where = source.partition(":")
    if source == "none":
        return Token(False, "none")
    if source == "cache":
        return _cached()
    if kind == "literal" and where:
        return _checked(where, "literal:...")
    if kind == "env" and where:
        if where not in os.environ:
            raise DownloadError(
                f"the token source {source} names a variable that is not set: export {where}, "
                f"or use another source: {FORMS}"
            )
        return _checked(os.environ[where], source)
    if kind == "path" and where:
        try:
            with Path(where).expanduser().open("rb") as file:
                data = file.read(LONGEST + 1)
        except OSError as error:
            raise DownloadError(
                f"the token source {source} cannot be read: {error.strerror or error}"
            ) from error
        return _checked(data.decode("latin-1"), source)
    # show only the kind: the rest may be a token without its "literal:" prefix
    shown = kind if kind in ("literal", "env", "path") else "given"
    raise DownloadError(f"the token source {shown} says no token: it must be {FORMS}")


def _cached() -> Token:
    from huggingface_hub import get_token

    value = get_token()
    return Token(False if value is None else value, "cache")


def _checked(text: str, source: str) -> Token:
    value = text.strip()
    if not value:
        raise DownloadError(f"the token source {source} is empty; other sources: {FORMS}")
    if len(value) > LONGEST or not all("!" <= letter <= "~" for letter in value):
        raise DownloadError(
            f"the token source {source} holds no token: spaces, line breaks or letters outside "
            "ASCII are in none"
        )
    return Token(value, source)
