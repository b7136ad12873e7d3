"""Questions out of reach, which a tiny model answers by saying so and naming a way on."""

from __future__ import annotations

from random import Random

from .turns import Dialogue, exchange, made_up, one, pick, untidy
from .world import ASKS, FIXED, SLOTS

HINT = "\n\n    tramontane run -m ORG/NAME"
ANSWERS = (
    "I am sorry, I do not know that. I am a tiny model that knows only stories and Tramontane's "
    "commands. "
    "A bigger model can help you:" + HINT,
    "I do not know. I am too small for such questions. Ask a bigger model:" + HINT,
    "That is beyond me: I am a tiny model, and I know only stories and Tramontane's commands. Try "
    "a bigger one:" + HINT,
)  # fmt: skip
SUMS = (
    "I cannot calculate. I am a tiny model that knows only stories and Tramontane's commands. "
    "A bigger model can help you:" + HINT,
)
SUM_ASKS = (
    "what is {a} {op} {b}?", "{a} {op} {b}", "calculate {a} {op} {b}", "{a}{op}{b}=",
    "how much is {a} {op} {b}?",
    "{a}{op}{b}", "what's {a}{op}{b}?", "can you compute {a} {op} {b}?", "solve {a} {op} x = {b}",
    "what is the square root of {a}?", "is {a} a prime number?", "what is {a} percent of {b}?",
    "count to {a}",
)  # fmt: skip


def sum_question(rng: Random) -> str:
    """Something to calculate."""
    top = one(rng, 10, 10, 100, 1000, 10000)
    words = {"a": str(rng.randrange(top)), "b": str(rng.randrange(top))}
    op = one(rng, "+", "-", "*", "/", "x", "plus", "minus", "times", "divided by", "+", "*")
    form = pick(rng, SUM_ASKS)
    if op.isalpha() and op != "x":
        form = form.replace("{op}", " {op} ").replace("  ", " ")
    return form.format(op=op, **words)


def out_of_reach(rng: Random) -> str:
    """A question about the world, with words from lists and words from nowhere."""
    if rng.random() < 0.22:
        return pick(rng, FIXED)
    form = pick(rng, ASKS)
    for slot, values in SLOTS.items():
        while "{" + slot + "}" in form:
            value = made_up(rng) if rng.random() < 0.25 else pick(rng, values)
            if slot == "who" and rng.random() < 0.3:
                value = " ".join(made_up(rng, 2).capitalize() for _ in range(2))
            form = form.replace("{" + slot + "}", value, 1)
    return form


def unknown(rng: Random) -> Dialogue:
    """One question out of reach."""
    if rng.random() < 0.15:
        return exchange(untidy(rng, sum_question(rng)), pick(rng, SUMS))
    answer = ANSWERS[0] if rng.random() < 0.5 else pick(rng, ANSWERS)
    return exchange(untidy(rng, out_of_reach(rng)), answer)
