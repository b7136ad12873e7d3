"""Python's literals, read while they come and passed on as JSON.

Tuples and sets become lists, as JSON has no other; keys of dicts become texts, as `json.dumps`
writes them. JSON's own literals are read too. What JSON cannot say, as bytes, complex numbers and
numbers beyond a double's range, is refused.
Source: the Python reference, Lexical analysis, Literals.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable

from tramontane.answers import More, Scan
from tramontane.answers.broken import marks, next_call
from tramontane.answers.json_text import DEEPEST, LITERALS, LONGEST_NUMBER, inside, separator

Sink = Callable[[str], None]
QUOTES = ("'''", '"""', "'", '"')
WORD = re.compile(r"[A-Za-z_]*")
NUMERIC = re.compile(r"[-+]?[\w.]*(?:(?<=[eE])[-+][\w.]*)?")
DECIMAL = re.compile(r"(?:(?:\d(?:_?\d)*)?\.\d(?:_?\d)*|\d(?:_?\d)*\.?)(?:[eE][-+]?\d(?:_?\d)*)?")
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
           "\\": "\\", "'": "'", '"': '"', "\n": "", "/": "/"}  # fmt: skip
DIGITS = {"x": 2, "u": 4, "U": 8}
HEX, OCTAL = "0123456789abcdefABCDEF", "01234567"


def value(scan: Scan, sink: Sink, depth: int = 0) -> More[bool]:
    """One literal. False: it is cut off or none; `at` is then at the place where it is not."""
    first = yield from scan.blanks()
    if depth > DEEPEST:
        return False
    if first == "[":
        scan.at += 1
        return (yield from _items(scan, sink, "]", depth))
    if first == "(":
        return (yield from _parenthesis(scan, sink, depth))
    if first == "{":
        return (yield from _dict_or_set(scan, sink, depth))
    if first and (first in "-+." or first.isdigit()):
        return (yield from _number(scan, sink))
    raw = yield from _quote(scan)
    if raw is not None:
        return (yield from _texts(scan, sink, *raw))
    start = scan.at
    word = yield from _run(scan, WORD)
    if word not in LITERALS:
        scan.at = start
        return False
    sink(LITERALS[word])
    return True


def _items(
    scan: Scan, sink: Sink, closing: str, depth: int, first: list[str] | None = None
) -> More[bool]:
    """A list's items up to its closing. first: an item that has been read."""
    sink("[")
    if first is None and (yield from scan.blanks()) == closing:
        scan.at += 1
        sink("]")
        return True
    while True:
        if first is None and not (yield from value(scan, sink, depth + 1)):
            return False
        for part in first or ():
            sink(part)
        first = None
        after = yield from separator(scan, closing)
        if after != ",":
            sink("]" if after else "")
            return bool(after)
        sink(", ")


def _parenthesis(scan: Scan, sink: Sink, depth: int) -> More[bool]:
    """A tuple, or a value in parentheses."""
    scan.at += 1
    if (yield from scan.blanks()) == ")":
        return (yield from _items(scan, sink, ")", depth))
    first: list[str] = []
    if not (yield from value(scan, first.append, depth + 1)):
        return False
    if (yield from scan.blanks()) == ",":
        return (yield from _items(scan, sink, ")", depth, first))
    for part in first:
        sink(part)
    return (yield from separator(scan, ")")) == ")"


def _dict_or_set(scan: Scan, sink: Sink, depth: int) -> More[bool]:
    scan.at += 1
    if (yield from scan.blanks()) == "}":
        scan.at += 1
        sink("{}")
        return True
    first: list[str] = []
    if not (yield from value(scan, first.append, depth + 1)):
        return False
    if (yield from scan.blanks()) != ":":
        return (yield from _items(scan, sink, "}", depth, first))
    sink("{")
    while True:
        key = "".join(first)
        if (yield from scan.blanks()) != ":" or key[:1] in ("{", "["):
            return False
        scan.at += 1
        sink(f"{key if key.startswith(chr(34)) else json.dumps(key)}: ")
        if not (yield from value(scan, sink, depth + 1)):
            return False
        after = yield from separator(scan, "}")
        sink("}" if after == "}" else ", " if after else "")
        if after != ",":
            return after == "}"
        first = []
        if not (yield from value(scan, first.append, depth + 1)):
            return False


def _number(scan: Scan, sink: Sink) -> More[bool]:
    start = scan.at
    said = yield from _run(scan, NUMERIC)
    found = number(said)
    if found is None:
        scan.at = start
        return False
    sink(found)
    return True


def number(said: str) -> str | None:
    """A number of Python's as JSON has it; None for what is none, or has no finite value."""
    sign, digits = ("-" if said[:1] == "-" else ""), said.lstrip("+-")
    if len(said) > LONGEST_NUMBER or len(said) - len(digits) > 1:
        return None
    if re.fullmatch(r"0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+", digits):
        try:
            return f"{sign}{int(digits, 0)}"
        except ValueError:  # underscores in the wrong places
            return None
    if not DECIMAL.fullmatch(digits):
        return None
    plain = digits.replace("_", "")
    if plain.isdigit():
        zeros = plain.strip("0") == ""
        return f"{sign}{'0' if zeros else plain}" if zeros or plain[0] != "0" else None
    if not math.isfinite(float(plain)):
        return None
    whole, point, rest = plain.partition(".")
    if not point:
        whole, mark, rest = plain.lower().partition("e")
        return f"{sign}{whole.lstrip('0') or '0'}{mark}{rest}"
    fraction = rest if rest[:1].isdigit() else f"0{rest}"
    return f"{sign}{whole.lstrip('0') or '0'}.{fraction}"


def _run(scan: Scan, pattern: re.Pattern[str]) -> More[str]:
    start = scan.at
    while True:
        found = pattern.match(scan.text, start)
        end = found.end() if found else start
        if end < len(scan.text) or not (yield from scan.more()):
            scan.at = end
            return scan.text[start:end]


def _quote(scan: Scan) -> More[tuple[str, bool] | None]:
    """What opens a text, which is skipped, and whether it is raw; None if no text begins here."""
    place, prefix = scan.at, ""
    while (letter := (yield from scan.peek())) and letter in "rRuU" and not prefix:
        prefix = letter
        scan.at += 1
    for quote in QUOTES:
        if (yield from scan.literal(quote)):
            return quote, prefix in ("r", "R")
    scan.at = place
    return None


def _texts(scan: Scan, sink: Sink, quote: str, raw: bool) -> More[bool]:
    """A text, or several side by side, which are one."""
    sink('"')
    while True:
        if not (yield from _text(scan, sink, quote, raw)):
            return False
        place = scan.at
        yield from scan.blanks()
        following = yield from _quote(scan)
        if following is None:
            scan.at = place
            sink('"')
            return True
        quote, raw = following


def _text(scan: Scan, sink: Sink, quote: str, raw: bool) -> More[bool]:
    others = marks(scan)
    while True:
        if not (yield from scan.pass_on(lambda piece: sink(inside(piece)), quote, "\\", *others)):
            return False
        if (yield from scan.literal(quote)):
            return True
        mark = next((one for one in others if scan.text.startswith(one, scan.at)), "")
        if mark:
            if (yield from next_call(scan, "(", "'")):
                return False
            scan.at += len(mark)
            sink(inside(mark))
            continue
        scan.at += 1
        said = yield from scan.peek()
        if not said:
            return False
        scan.at += 1
        if raw:
            sink(inside("\\" + said))
        else:
            sink((yield from _escape(scan, said)))


def _escape(scan: Scan, said: str) -> More[str]:
    """What a backslash and this character mean, inside a JSON string."""
    if said in ESCAPES:
        return inside(ESCAPES[said])
    if said in OCTAL:
        scan.at -= 1
        return inside(chr(int((yield from _digits(scan, 3, OCTAL)), 8)))
    start = scan.at
    if said in DIGITS:
        digits = yield from _digits(scan, DIGITS[said], HEX)
        if len(digits) == DIGITS[said] and int(digits, 16) <= 0x10FFFF:
            code = int(digits, 16)
            return f"\\u{code:04x}" if said == "u" else inside(chr(code))
    elif said == "N" and (yield from scan.literal("{")):
        name = yield from scan.before("}")
        try:
            character = unicodedata.lookup(name or "")
        except KeyError:
            pass
        else:
            scan.at += 1
            return inside(character)
    scan.at = start
    return inside("\\" + said)


def _digits(scan: Scan, most: int, kind: str) -> More[str]:
    found = ""
    while len(found) < most and (digit := (yield from scan.peek())) and digit in kind:
        scan.at += 1
        found += digit
    return found
