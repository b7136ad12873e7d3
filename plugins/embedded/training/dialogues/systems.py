"""System messages, with which any dialogue may begin."""

from __future__ import annotations

from random import Random

from .turns import Dialogue, made_up, one, pick

SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful assistant.",
    "You are Tramontane's embedded model.",
    "You are a friendly storyteller.", "You are a helpful AI assistant.", "Be brief.", "Be polite.",
    "You tell stories to children.", "Answer in English.", "You are a chatbot.",
    "Answer the question.",
    "You are a kind and patient teacher.", "You are a pirate.", "Answer as well as you can.",
    "You know everything about Tramontane.", "You are a wise old owl.", "Respond concisely.",
    "You are an expert.", "Always be friendly.", "You are a poet.", "Speak like a king.",
)  # fmt: skip


def with_system(rng: Random, talk: Dialogue) -> Dialogue:
    """The dialogue behind a system message, which a model this small does not obey."""
    text = pick(rng, SYSTEMS)
    if rng.random() < 0.2:
        form = one(
            rng, "You are {x}.", "Your name is {x}.", "Talk like a {x}.", "You work for {x}."
        )
        text = form.format(x=made_up(rng))
    return [{"role": "system", "content": text}, *talk]
