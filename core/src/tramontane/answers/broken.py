"""Calls that are not closed as they should be: with brackets too few or too many, or not at all.

A syntax says in `Scan.closings` what closes its calls. That mark cannot stand inside JSON outside
of its strings, so it closes all brackets that are open.
"""

from __future__ import annotations

from .scan import NAME, More, Scan, any_of

BRACKETS = "]})"
MARKS = 8
"""One after another that are looked at, of marks that open and close calls."""


def closes(scan: Scan) -> More[bool]:
    """Whether all that is open of a call is closed here, with brackets missing or exchanged: what
    comes is brackets or none, and one of `closings` or another call; or brackets, and the end of
    the text. Nothing is skipped."""
    place = scan.at
    brackets = yield from _brackets(scan)
    found = yield from scan.literal(*marks(scan))
    if brackets and not found:
        found = not (yield from scan.peek())
    scan.at = place
    return found


def skip_stray(scan: Scan) -> More[None]:
    """Skip brackets too many, after a call: before one of `closings`, another call or the end."""
    place = scan.at
    brackets = yield from _brackets(scan)
    after = scan.at
    if not brackets or not (yield from scan.literal(*scan.closings)):
        found = brackets.strip(")") and (
            (yield from scan.literal(*scan.openings)) or not (yield from scan.peek())
        )  # fmt: skip
        after = after if found else place
    scan.at = after


def fail(scan: Scan, to_the_end: bool = False) -> More[None]:
    """The call that is open went wrong, and ends. What is left of it, where one of `closings` comes
    before another call, is no plain text either: it is passed on with its arguments.

    to_the_end: what is left begins with a mark, so it is no plain text without a closing either.
    """
    if scan.closings:
        pattern, place = any_of((*scan.closings, *scan.openings)), scan.at
        while (found := pattern.search(scan.text, place)) is None:
            place = max(scan.at, len(scan.text) - NAME)
            if not (yield from scan.more()):
                break
        stop = found.start() if found else len(scan.text)
        if to_the_end or (found and found[0] in scan.closings):
            scan.arguments(scan.text[scan.at : stop])
            scan.at = stop
    scan.end(whole=False)


def cut_off(scan: Scan, *marks: str) -> More[bool]:
    """Whether the text ends here, perhaps within a mark."""
    longest = max(map(len, marks), default=0)
    while (left := scan.text[scan.at : scan.at + longest]) == "" or any(
        mark.startswith(left) and mark != left for mark in marks
    ):
        if not (yield from scan.more()):
            return True
    return False


def _brackets(scan: Scan) -> More[str]:
    """Skip brackets that close and white space between and after them; the brackets."""
    found = ""
    while (after := (yield from scan.blanks())) and after in BRACKETS:
        scan.at += 1
        found += after
    return found


def marks(scan: Scan) -> tuple[str, ...]:
    """What opens and closes calls, and is no single character that a text may have in it."""
    return tuple(mark for mark in (*scan.closings, *scan.openings) if len(mark) > 1)


def next_call(scan: Scan, bracket: str = "{", *quotes: str) -> More[bool]:
    """Whether another call begins here, inside a string that was not closed: the marks stand there,
    and then a bracket and a quote. In a string that is one the quote would be escaped.

    quotes: besides the double one.
    """
    place, opened = scan.at, False
    for _ in range(MARKS):
        if (yield from scan.literal(*scan.closings)):
            pass
        elif (yield from scan.literal(*marks(scan))):
            opened = True
        else:
            break
        yield from scan.blanks()
    between = (yield from scan.before('"', *quotes, "\\")) if opened else None
    found = between is not None and bracket in between and scan.text[scan.at] != "\\"
    scan.at = place
    return found
