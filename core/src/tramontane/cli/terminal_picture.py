"""Pictures in terminals that show them: kitty's and iTerm's protocols, and sixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

EDGE = 480
"""Pixels of the longer edge of what is shown."""
CHUNK = 4096
KITTY = ("kitty", "ghostty")
ITERM = ("iTerm.app", "WezTerm", "mintty", "rio", "vscode-images")
SIXEL = ("foot", "mlterm", "contour", "yaft", "sixel")
COLORS = 256


def picture_writer(environ: Mapping[str, str]) -> Callable[[Any], str] | None:
    """What writes a picture of Pillow's as a terminal of this environment wants it; None where the
    terminal does not say that it shows any, as none does within tmux or screen."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "TMUX" in environ or term.startswith(("screen", "tmux", "dumb")):
        return None
    if "KITTY_WINDOW_ID" in environ or any(name in (term.removeprefix("xterm-"), program.lower())
                                           for name in KITTY):  # fmt: skip
        return kitty
    if program in ITERM or environ.get("LC_TERMINAL") == "iTerm2":
        return iterm
    if any(name in term for name in SIXEL):
        return sixel
    return None


def kitty(image: Any) -> str:
    """The picture as escape sequences of kitty's graphics protocol, in chunks."""
    data = base64.standard_b64encode(_png(image)).decode()
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    found = []
    for index, chunk in enumerate(chunks):
        more = int(index < len(chunks) - 1)
        told = f"a=T,f=100,q=2,m={more}" if index == 0 else f"m={more}"
        found.append(f"\033_G{told};{chunk}\033\\")
    return "".join(found) + "\n"


def iterm(image: Any) -> str:
    """The picture as one escape sequence of iTerm's."""
    data = _png(image)
    text = base64.standard_b64encode(data).decode()
    return f"\033]1337;File=inline=1;size={len(data)};preserveAspectRatio=1:{text}\a\n"


def sixel(image: Any) -> str:
    """The picture in at most 256 colours, six rows at a time."""
    small = _small(image).quantize(COLORS)
    width, height = small.size
    palette = small.getpalette()
    pixels = small.tobytes()
    parts = [f'\033Pq"1;1;{width};{height}']
    for color in sorted(set(pixels)):
        shares = (round(each * 100 / 255) for each in palette[3 * color : 3 * color + 3])
        parts.append(f"#{color};2;{';'.join(map(str, shares))}")
    for top in range(0, height, 6):
        rows = [pixels[row * width : (row + 1) * width] for row in range(top, min(top + 6, height))]
        parts.append("$".join(_band(rows, color) for color in sorted(set(b"".join(rows)))) + "-")
    return "".join(parts) + "\033\\\n"


def _band(rows: list[bytes], color: int) -> str:
    """Where a colour is in six rows: a character a column, whose bits are rows; repeated ones with
    their number."""
    columns = (
        sum(1 << bit for bit, row in enumerate(rows) if row[x] == color)
        for x in range(len(rows[0]))
    )
    return f"#{color}" + "".join(_runs(chr(63 + bits) for bits in columns))


def _runs(letters: Iterator[str]) -> Iterator[str]:
    last, count = "", 0
    for letter in letters:
        if letter == last:
            count += 1
            continue
        yield f"!{count}{last}" if count > 3 else last * count
        last, count = letter, 1
    yield f"!{count}{last}" if count > 3 else last * count


def _small(image: Any) -> Any:
    small = image.convert("RGB")
    small.thumbnail((EDGE, EDGE))
    return small


def _png(image: Any) -> bytes:
    to = io.BytesIO()
    _small(image).save(to, "PNG")
    return to.getvalue()
