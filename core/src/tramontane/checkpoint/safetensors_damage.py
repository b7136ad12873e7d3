"""Explain the safetensors library's errors about damaged files."""

from __future__ import annotations

from tramontane.sanitize import one_line

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
    """A one-line explanation, followed by the library's details if there are any."""
    text = str(error).removeprefix(PREFIX)
    for prefix, explanation in WORDS.items():
        if text.startswith(prefix):
            details = text.removeprefix(prefix).strip(" :")
            return f"{explanation} ({one_line(details)})" if details else explanation
    return one_line(text)
