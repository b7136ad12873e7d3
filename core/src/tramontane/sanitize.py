"""Text of strangers inside a message: a line, of readable length, whatever they wrote."""

from __future__ import annotations


def one_line(text: object, most: int = 200) -> str:
    """A text without line breaks and control characters, the middle left out where it is long."""
    line = str(text)
    if len(line) > most:
        half = most // 2
        line = f"{line[:half]} ... {line[-half:]}"
    line = " ".join(line.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
