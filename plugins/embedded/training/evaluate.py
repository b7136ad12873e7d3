"""Measures what an exported file can do, on documents unseen in training, through Tramontane.

They come from the generators with another seed, and from `strangers.py`, in words that no generator
has. Every prompt is answered greedily. A call counts when its name and all its arguments are right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from dialogues.calls import answer, any_wish, beside, clash, lowered, outcome
from dialogues.hermes import Call, schema
from dialogues.json_asked import json_asked
from dialogues.made_up_tools import made
from dialogues.table import idle
from dialogues.turns import pick
from dialogues.values import HELD_OUT
from dialogues.wishes import Wish, known
from strangers import KINDS as STRANGERS
from strangers import TOOLS, Stranger
from tramontane import LLM, SamplingParams

GREEDY = SamplingParams(temperature=0, max_tokens=120)


class Trial(NamedTuple):
    """A conversation and what a right answer is."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    calls: list[tuple[str, dict[str, Any]]]
    says: tuple[str, ...] = ()
    """Texts that the answer holds."""


def held_out(rng: Random, wish: Wish) -> Wish:
    """The same with a city of which training has never heard, where there is one."""
    names = [n for n, v in wish.call.arguments.items() if n in ("city", "location") and v]
    if len(names) != 1:
        return wish
    old, new = wish.call.arguments[names[0]], pick(rng, HELD_OUT)
    call = Call(wish.call.name, {**wish.call.arguments, names[0]: new})
    return wish._replace(
        call=call, question=wish.question.replace(old, new), says=wish.says.replace(old, new)
    )


def asked(question: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": question}]


def one_call(rng: Random, wish: Wish) -> Trial:
    wish = held_out(rng, wish)
    tools = [schema(spec) for spec in beside(rng, [wish])]
    return Trial(asked(wish.question), tools, [(wish.call.name, dict(wish.call.arguments))])


def two(rng: Random) -> tuple[Wish, Wish, str]:
    first = second = held_out(rng, any_wish(rng))
    while clash(first, second):
        second = held_out(rng, any_wish(rng))
    return first, second, first.question.rstrip("?.!") + " and " + lowered(second.question)


def two_calls(rng: Random) -> Trial:
    first, second, question = two(rng)
    tools = [schema(spec) for spec in beside(rng, [first, second], 2)]
    calls = [(wish.call.name, dict(wish.call.arguments)) for wish in (first, second)]
    return Trial(asked(question), tools, calls)


def told(wishes: list[Wish], results: list[str]) -> list[dict[str, Any]]:
    """Calls that were made, and their results."""
    calls = [
        {"id": str(index), "type": "function",
         "function": {"name": wish.call.name, "arguments": json.dumps(wish.call.arguments)}}
        for index, wish in enumerate(wishes)
    ]  # fmt: skip
    results_told = [
        {"role": "tool", "tool_call_id": str(index), "content": text}
        for index, text in enumerate(results)
    ]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results_told]


def one_result(rng: Random) -> Trial:
    wish = held_out(rng, any_wish(rng))
    found = outcome(rng, wish)
    messages = asked(wish.question) + told([wish], [found.text])
    tools = [schema(spec) for spec in beside(rng, [wish])]
    return Trial(messages, tools, [], (answer(wish, found),))


def two_results(rng: Random) -> Trial:
    first, second, question = two(rng)
    found = [outcome(rng, first), outcome(rng, second)]
    messages = asked(question) + told([first, second], [f.text for f in found])
    tools = [schema(spec) for spec in beside(rng, [first, second], 2)]
    return Trial(messages, tools, [], (answer(first, found[0]), answer(second, found[1])))


def no_call(rng: Random) -> Trial:
    """Talk, stories and questions about commands."""
    _, question, *_ = idle(rng)
    tools = [schema(spec) for spec in beside(rng, [any_wish(rng)])]
    return Trial([question], tools, [])


def no_tool(rng: Random) -> Trial:
    """A question for a tool that is missing."""
    wish = known(rng)
    while True:
        others = [any_wish(rng) for _ in range(2)]
        if not any(clash(wish, other) for other in others):
            return Trial(asked(wish.question), [schema(o.spec) for o in others], [])


def in_json(rng: Random) -> Trial:
    question, reply = json_asked(rng)
    return Trial([question], [], [], (reply["content"],))


KINDS: dict[str, Callable[[Random], Trial]] = {
    "a tool that people try first": lambda rng: one_call(rng, known(rng)),
    "a made-up tool": lambda rng: one_call(rng, made(rng)),
    "two calls": two_calls,
    "no call: not asked for": no_call,
    "no call: the tool is missing": no_tool,
    "the answer says the result": one_result,
    "the answer says both results": two_results,
    "JSON": in_json,
}


def of_stranger(said: Stranger) -> Trial:
    tools = [schema(TOOLS[name]) for name in said.tools]
    return Trial(asked(said.question), tools, list(said.calls), said.says)


def trials(count: int, seed: int) -> Iterator[tuple[str, list[Trial]]]:
    """Each kind and its prompts: so many that are made, and all of those written by hand."""
    for name, make in KINDS.items():
        rng = Random(f"{name} {seed}")
        yield name, [make(rng) for _ in range(count)]
    for name, several in STRANGERS.items():
        yield name, [of_stranger(said) for said in several]


def right(llm: LLM, trial: Trial) -> tuple[bool, str]:
    """Whether the model does as it should, and what it said."""
    found = llm.chat(trial.messages, GREEDY, tools=trial.tools)
    calls = [(call.name, json.loads(call.arguments)) for call in found.tool_calls]
    ok = calls == trial.calls and all(text.rstrip(".") in found.content for text in trial.says)
    return ok, f"{calls or found.content!r}, and should have {trial.calls or trial.says!r}"


def measured(model: str, count: int, seed: int) -> Iterator[tuple[str, float, list[str]]]:
    """Each kind with its share of right answers, and what was wrong."""
    with LLM(model) as llm:
        for name, several in trials(count, seed):
            wrong = []
            for trial in several:
                ok, what = right(llm, trial)
                if not ok:
                    wrong.append(f"{trial.messages[0]['content']!r}: {what}")
            yield name, 1 - len(wrong) / len(several), wrong


def main() -> None:
    """Print the share of right answers of each kind."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("-n", type=int, default=200, help="prompts of each kind that is made")
    parser.add_argument("--seed", type=int, default=987654321)
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong answers of each")
    options = parser.parse_args()
    for name, share, wrong in measured(str(options.file), options.n, options.seed):
        print(f"| {name} | {share:.1%} |", flush=True)
        for what in wrong[: options.wrong]:
            print("   ", what)


if __name__ == "__main__":
    main()
