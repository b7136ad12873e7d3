"""Dialogues in which tools are offered: called once, twice, or not at all, and what comes of it."""

from __future__ import annotations

from random import Random

from .hermes import Call, Spec, calling, resulting, told_of
from .known_tools import KNOWN
from .made_up_tools import made
from .results import Result, result
from .smalltalk import line
from .systems import SYSTEMS
from .turns import Dialogue, exchange, one, pick, untidy
from .unknown import ANSWERS
from .wishes import Wish, known, typed
from .wishes import wish as wish_for

CLASHES = (
    {"calculator", "add", "multiply", "subtract"}, {"search", "find_book", "get_user"},
    {"turn_on_light", "set_light"}, {"echo", "translate", "create_note", "send_message", "set_timer"},
    {"search", "read_file", "list_files"}, {"get_stock_price", "convert_currency"},
    {"get_capital", "get_population"}, {"set_timer", "set_alarm"}, {"get_date", "get_time"},
    {"send_email", "send_message"}, {"calculator", "convert_currency", "get_stock_price"},
)  # fmt: skip
"""Tools by their first names of which one could answer the other's question."""
WHICH = (
    "which tools do you have?", "what tools do you have?", "which tools can you use?", "list your tools",
    "what tools are there?", "which functions can you call?", "tools?", "what can you call?",
)  # fmt: skip
NOWHERE = (
    "what is the weather?", "how is the weather?", "what's the weather like?", "will it rain?",
    "is it cold outside?", "what is the weather today?", "weather", "weather please",
)  # fmt: skip
AND = (" and ", " and ", ", and ", " and also ", "; ", ". Then ", " and then ")
AGAIN = ("and {x}?", "what about {x}?", "and for {x}?", "now {x}", "and in {x}?", "the same for {x}")


def any_wish(rng: Random) -> Wish:
    return known(rng) if rng.random() < 0.5 else made(rng)


def clash(one_tool: Wish, other: Wish) -> bool:
    """Whether a question could be meant for either."""
    if one_tool.spec.name == other.spec.name or (one_tool.topic and one_tool.topic == other.topic):
        return True
    groups = {one_tool.group, other.group}
    return bool(one_tool.group) and (len(groups) == 1 or any(groups <= c for c in CLASHES))


def beside(rng: Random, wanted: list[Wish], most: int = 3) -> list[Spec]:
    """The wanted tools among others, in any order."""
    return [wish.spec for wish in among_others(rng, wanted, most)]


def among_others(rng: Random, wanted: list[Wish], most: int = 3) -> list[Wish]:
    """The wanted tools among others, each with a wish for it, in any order."""
    offered = list(wanted)
    for _ in range(one(rng, 0, 1, 1, 2, 2, most)):
        alike = pick(rng, wanted) if wanted and rng.random() < 0.4 else None
        other = made(rng, alike) if alike and alike.topic else any_wish(rng)
        if not any(clash(other, wish) for wish in offered):
            offered.append(other)
    wishes = list({wish.spec.name: wish for wish in offered}.values())
    rng.shuffle(wishes)
    return wishes


def offered(rng: Random, tools: list[Spec]) -> Dialogue:
    """The system message that a dialogue with these tools has."""
    return [told_of(tools, pick(rng, SYSTEMS) if rng.random() < 0.2 else "")]


def outcome(rng: Random, wish: Wish) -> Result:
    return result(rng, wish.gives, str(next(iter(wish.call.arguments.values()), "")))


def answer(wish: Wish, found: Result) -> str:
    """What is said to a result."""
    if found.failed:
        return f"That did not work: {found.said}."
    if found.said == "Done.":
        return found.said
    return wish.says.replace("{r}", found.said)


def called(rng: Random) -> Dialogue:
    """One call, its result and the answer; then perhaps more of them, or a wish beyond the tools."""
    wanted = [any_wish(rng)]
    while len(wanted) < 3 and rng.random() < 0.4:
        other = any_wish(rng)
        if not any(clash(other, wish) for wish in wanted):
            wanted.append(other)
    tools = among_others(rng, wanted)
    talk = offered(rng, [wish.spec for wish in tools])
    if rng.random() < 0.08:
        talk += line(rng)
    for wish in wanted:
        talk += [{"role": "user", "content": wish.question}, calling([wish.call])]
        if wish is wanted[-1] and rng.random() < 0.45:
            return talk
        found = outcome(rng, wish)
        talk += [resulting([found.text]), {"role": "assistant", "content": answer(wish, found)}]
    chance = rng.random()
    if chance < 0.15:
        talk += line(rng)
    elif chance < 0.28:
        talk += once_more(rng, wanted[-1])
    elif chance < 0.45:
        missing = any_wish(rng)
        if not any(clash(missing, wish) for wish in tools):
            talk += exchange(missing.question, beyond(rng))
    return talk


def simply_called(rng: Random) -> Dialogue:
    """One call of the only tool."""
    wish = any_wish(rng)
    talk = [told_of([wish.spec]), {"role": "user", "content": wish.question}]
    return [*talk, calling([wish.call])]


def once_more(rng: Random, wish: Wish) -> Dialogue:
    """The same tool for another value, asked for in few words."""
    texts = [name for name, value in wish.call.arguments.items() if isinstance(value, str)]
    if len(texts) != 1 or len(wish.call.arguments) > 1:
        return line(rng)
    other = any_wish(rng)
    values = [v for v in other.call.arguments.values() if isinstance(v, str)] or ["Oslo"]
    question = typed(rng, pick(rng, AGAIN)).replace("{x}", values[0])
    call = Call(wish.call.name, {texts[0]: values[0]})
    return [{"role": "user", "content": question}, calling([call])]


def called_twice(rng: Random) -> Dialogue:
    """Two calls in one answer, then both results."""
    first = any_wish(rng)
    if rng.random() < 0.5 and (pair := twice_the_same(rng, first)):
        second, question = pair
    else:
        second = any_wish(rng)
        while clash(first, second):
            second = any_wish(rng)
        question = first.question.rstrip("?.!") + pick(rng, AND) + lowered(second.question)
    talk = offered(rng, beside(rng, [first, second], 2))
    talk += [{"role": "user", "content": question}, calling([first.call, second.call])]
    if rng.random() < 0.6:
        found = [outcome(rng, first), outcome(rng, second)]
        said = " ".join(answer(w, f) for w, f in zip((first, second), found, strict=True))
        talk += [resulting([f.text for f in found]), {"role": "assistant", "content": said}]
    return talk


def twice_the_same(rng: Random, first: Wish) -> tuple[Wish, str] | None:
    """The same tool for a second value, and a question that names both."""
    values = [v for v in first.call.arguments.values() if isinstance(v, str)]
    if len(first.call.arguments) != 1 or not values or f" {values[0]}" not in first.question:
        return None
    for _ in range(20):
        other = any_wish(rng)
        others = [v for v in other.call.arguments.values() if isinstance(v, str)]
        if len(others) == 1 and others[0] != values[0] and first.gives != "same":
            break
    else:
        return None
    (name,) = first.call.arguments
    second = first._replace(
        call=Call(first.call.name, {name: others[0]}),
        says=first.says.replace(values[0], others[0]),
    )
    joined = values[0] + one(rng, " and ", " and ", " and in ", ", ") + others[0]
    if "in " + values[0] not in first.question:
        joined = joined.replace(" and in ", " and ")
    return second, first.question.replace(values[0], joined)


def lowered(text: str) -> str:
    """The text with a small first letter, unless it is an I."""
    return text if text.startswith("I ") else text[:1].lower() + text[1:]


def out_of_reach(rng: Random) -> Dialogue:
    """A question for a tool that is not among those offered."""
    wish = known(rng) if rng.random() < 0.7 else made(rng)
    others: dict[str, Spec] = {}
    while not others:
        for _ in range(one(rng, 1, 2, 3)):
            other = made(rng, wish) if wish.topic and rng.random() < 0.4 else any_wish(rng)
            if not clash(wish, other):
                others[other.spec.name] = other.spec
    return [*offered(rng, list(others.values())), *exchange(wish.question, beyond(rng))]


def missing(rng: Random) -> Dialogue:
    """The same among as many tools as those have who do get an answer."""
    wish = known(rng) if rng.random() < 0.7 else made(rng)
    tools: list[Wish] = []
    while not tools:
        tools = [t for t in among_others(rng, [any_wish(rng)]) if not clash(wish, t)]
    return [*offered(rng, [t.spec for t in tools]), *exchange(wish.question, beyond(rng))]


def beyond(rng: Random) -> str:
    """What is said where no tool helps."""
    return ANSWERS[0] if rng.random() < 0.5 else pick(rng, ANSWERS)


def asked_back(rng: Random) -> Dialogue:
    """A question that lacks what the tool needs."""
    if rng.random() < 0.3:
        wish = wish_for(rng, KNOWN[0])
        reply = f"Please tell me the {wish.spec.takes[0].name}."
        question = typed(rng, pick(rng, NOWHERE))
        return [*offered(rng, beside(rng, [wish])), *exchange(question, reply)]
    wish = any_wish(rng)
    while not wish.topic or not wish.spec.takes or wish.spec.takes[0].optional:
        wish = made(rng)
    verb, noun = wish.topic
    needed = next(taken for taken in wish.spec.takes if not taken.optional)
    question = typed(rng, f"{verb} {one(rng, 'the', 'a', 'my')} {noun}")
    reply = f"Please tell me the {needed.name.replace('_', ' ')}."
    return [*offered(rng, beside(rng, [wish])), *exchange(question, reply)]


def which_tools(rng: Random) -> Dialogue:
    """The names of the tools, on request."""
    tools = beside(rng, [any_wish(rng)])
    names = ", ".join(spec.name for spec in tools)
    return [*offered(rng, tools), *exchange(untidy(rng, pick(rng, WHICH)), f"I can call: {names}.")]


def not_called(rng: Random, talk: Dialogue) -> Dialogue:
    """A dialogue of another kind, with tools that do not help."""
    return [*offered(rng, beside(rng, [any_wish(rng)])), *talk]
