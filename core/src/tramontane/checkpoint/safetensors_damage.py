"""What the safetensors library says of a damaged file, in words for those who do not know it."""

from __future__ import annotations

from tramontane.one_line import one_line

PREFIX = "Error while deserializing header: "
WORDS = {
    "header too small": "it is too short to have a header",
    "header too large": "its first 8 bytes are not a valid header length",
    "invalid header length": "it ends within its header",
    "incomplete metadata, file not fully covered": (
        "its size differs from the size in its header: it is truncated, or has extra bytes"
    ),
    "invalid UTF-8 in header": "its header is not UTF-8",
    "invalid JSON in header": "its header is not the JSON of a safetensors file",
    "invalid shape, data type, or offset for tensor": (
        "a tensor's shape and type do not fit its bytes"
    ),
    "invalid offset for tensor": "the bytes of a tensor overlap others, or leave a gap",
}


def damage(error: Exception) -> str:
    """One line; the library's own details stand behind it where they say more."""
    said = str(error).removeprefix(PREFIX)
    for theirs, ours in WORDS.items():
        if said.startswith(theirs):
            more = said.removeprefix(theirs).strip(" :")
            return f"{ours} ({one_line(more)})" if more else ours
    return one_line(said)
