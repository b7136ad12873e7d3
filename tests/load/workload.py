"""What is asked: mixed requests that can be checked, or prompts of one size to measure."""

from __future__ import annotations

import random
from typing import Any

ANIMALS = ["fox", "bear", "cat", "owl", "pig", "mouse", "dog", "frog"]
VOCABULARY = 1000
"""Tokens that every model has."""
PLACES = ["in a cave", "by the sea", "on a hill", "in a garden"]


def mixed(count: int, seed: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """(path, body) of `count` requests, of many lengths, samplers and seeds."""
    rng = random.Random(seed)
    found: list[tuple[str, dict[str, Any]]] = []
    for number in range(count):
        animals = " and a ".join(rng.choices(ANIMALS, k=rng.choice([1, 1, 2, 5, 12])))
        told = f"Tell me a story about a {animals} {rng.choice(PLACES)}"
        body: dict[str, Any] = {"max_tokens": rng.choice([1, 5, 20, 60, 120]), "seed": number}
        match rng.randrange(5):
            case 0:
                body |= {"temperature": 0.0}
            case 1:
                body |= {"temperature": 1.0, "top_k": 40, "top_p": 0.9}
            case 2:
                body |= {"temperature": 0.8, "min_p": 0.05, "repetition_penalty": 1.1}
            case 3:
                body |= {"temperature": 1.2, "mirostat": 2}
            case 4:
                body |= {"temperature": 0.9, "stop": [" the"], "frequency_penalty": 0.5}
        if rng.random() < 0.5:
            found.append(("/v1/chat/completions", {**body, "messages": told}))
        else:
            found.append(("/v1/completions", {**body, "prompt": told}))
    return found


def fixed(
    count: int, prompt: int, answer: int, shared: int = 0, *, seed: int = 0
) -> list[tuple[str, dict[str, Any]]]:
    """Requests of `prompt` random tokens, of which the first `shared` are the same in all."""
    rng = random.Random(seed)
    begin = [rng.randrange(10, VOCABULARY) for _ in range(shared)]
    return [
        (
            "/v1/completions",
            {
                "prompt": begin + [rng.randrange(10, VOCABULARY) for _ in range(prompt - shared)],
                "max_tokens": answer,
                "ignore_eos": True,
                "temperature": 0.0,
            },
        )
        for _ in range(count)
    ]
