"""Text of strangers inside a message: a line, of readable length, whatever they wrote."""

from __future__ import annotations


def one_line(text: object, most: int = 200) -> str:
    """A text without line breaks and control characters, the middle left out where it is long."""
    said = str(text)
    if len(said) > most:
        half = most // 2
        said = f"{said[:half]} ... {said[-half:]}"
    said = " ".join(said.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)
