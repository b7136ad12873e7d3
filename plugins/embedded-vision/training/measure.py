"""Counts right answers about pictures that were never trained on, through Tramontane itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from pictures import UNSEEN, Scene, scene
from questions import KINDS, NO_PICTURE, OFF_TOPIC, ONLY_PICTURES, ask
from talks import about_one_of
from tramontane import LLM, SamplingParams

GREEDY = SamplingParams(temperature=0, max_tokens=40)


@dataclass(frozen=True)
class Trial:
    """messages: of a chat. answer: what is right."""

    messages: list[dict[str, Any]]
    answer: str


def user(question: str, *scenes: Scene) -> dict[str, Any]:
    shown = [{"type": "image", "image": each.image} for each in scenes]
    return {"role": "user", "content": [*shown, {"type": "text", "text": question}]}


def first(seed: int, kind: str) -> Trial:
    """A first question, about a picture."""
    drawn = scene(seed)
    question, answer = ask(drawn.things, Random(f"{kind} {seed}"), kind)
    return Trial([user(question, drawn)], answer)


def said(trial: Trial, *others: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation that went right so far, and goes on."""
    return [*trial.messages, {"role": "assistant", "content": trial.answer}, *others]


def second(seed: int) -> Trial:
    """A second question about the same picture."""
    before, rng = first(seed, "what"), Random(f"second {seed}")
    kind = rng.choice([kind for kind in KINDS if kind != "what"])
    question, answer = ask(scene(seed).things, rng, kind)
    return Trial(said(before, user(question)), answer)


def later(seed: int) -> Trial:
    """A second picture, in a later message."""
    rng, drawn = Random(f"later {seed}"), scene(seed + 500_000)
    question, answer = ask(drawn.things, rng)
    return Trial(said(first(seed, rng.choice(tuple(KINDS))), user(question, drawn)), answer)


def of_two(seed: int) -> Trial:
    """One of two pictures in one message."""
    both = scene(seed), scene(seed + 500_000)
    question, answer = about_one_of([each.things for each in both], Random(f"two {seed}"))
    return Trial([user(question, *both)], answer)


def none(seed: int) -> Trial:
    """A question about a picture that nobody shows."""
    return Trial([user(ask(scene(seed).things, Random(f"none {seed}"))[0])], NO_PICTURE)


def other(seed: int) -> Trial:
    return Trial([user(Random(f"other {seed}").choice(OFF_TOPIC))], ONLY_PICTURES)


CONVERSATIONS = {
    "a second question": second,
    "a second picture, later": later,
    "one of two pictures": of_two,
    "no picture": none,
    "other talk": other,
}


def trials(count: int, others: int, seed: int = UNSEEN) -> Iterator[tuple[str, list[Trial]]]:
    """Each kind and its trials: so many pictures of which is asked what is in them, by how many
    things they show, and so many others of each other kind."""
    pictures = [scene(each) for each in range(seed, seed + count)]
    named = [first(each, "what") for each in range(seed, seed + count)]
    for number in (1, 2, 3):
        things = [len(each.things) for each in pictures]
        several = [trial for trial, found in zip(named, things, strict=True) if found == number]
        yield f"what, of {number}", several
    seeds = range(seed + count, seed + count + others)
    for kind in KINDS:
        if kind != "what":
            yield kind, [first(each, kind) for each in seeds]
    for name, make in CONVERSATIONS.items():
        yield name, [make(each) for each in seeds]


def wrong(llm: LLM, several: list[Trial]) -> list[str]:
    """What was said that was not right."""
    answers = [llm.chat(trial.messages, GREEDY).content for trial in several]
    return [
        f"{answer!r}, and is {trial.answer!r}"
        for trial, answer in zip(several, answers, strict=True)
        if answer != trial.answer
    ]


def main() -> None:
    """Print the share of right answers of each kind of question."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", nargs="?", default="embedded-vision")
    parser.add_argument("-n", type=int, default=1000, help="pictures of which it is asked what")
    parser.add_argument("--others", type=int, default=200, help="pictures of each other kind")
    parser.add_argument("--seed", type=int, default=UNSEEN, help="of the first picture")
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong answers of each")
    options = parser.parse_args()
    with LLM(options.model, max_seqs=1) as llm:
        all_right = 0
        for name, several in trials(options.n, options.others, options.seed):
            missed = wrong(llm, several)
            share = 1 - len(missed) / len(several)
            all_right += len(several) - len(missed) if name.startswith("what") else 0
            print(f"| {name} | {share:.1%} | {len(several)} |", flush=True)
            for what in missed[: options.wrong]:
                print("   ", what)
    print(f"| what, all | {all_right / options.n:.1%} | {options.n} |")


if __name__ == "__main__":
    main()
