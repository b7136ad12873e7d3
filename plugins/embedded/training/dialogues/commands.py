"""Questions about Tramontane's own commands, with answers that are the same every time."""

from __future__ import annotations

from random import Random

from .named_topics import NAMED
from .topics import TOPICS, Topic
from .turns import Dialogue, exchange, made_up, one, pick, untidy

ASK = (
    "how do I {do}?", "how do I {do}?", "how do I {do}?", "how can I {do}?", "how to {do}",
    "how to {do}?", "what is the command to {do}?", "which command lets me {do}?", "{do}",
    "I want to {do}", "can I {do}?", "show me how to {do}", "what do I type to {do}?",
    "is there a way to {do}?", "help me {do}", "how would I {do}?", "tell me how to {do}",
    "can you {do}?", "can tramontane {do}?", "how do you {do}?", "I would like to {do}",
    "how does one {do}?", "what should I do to {do}?", "I need to {do}", "how do we {do}?",
    "how do I {do} with tramontane?", "how can I {do} in tramontane?", "explain how to {do}",
    "and how do I {do}?", "and how can I {do}?", "can you tell me how to {do}?",
    "could you show me how to {do}?", "where do I {do}?",
)  # fmt: skip

ORGS = (
    "Qwen", "meta-llama", "mistralai", "google", "HuggingFaceTB", "TinyLlama", "microsoft",
    "bartowski",
    "unsloth", "ggml-org", "allenai", "ibm-granite", "stabilityai", "EleutherAI", "openai", "acme",
    "org",
)  # fmt: skip
MODELS = (
    "Qwen3-0.6B", "Qwen2.5-1.5B-Instruct", "Llama-3.2-1B", "Llama-3.2-3B-Instruct", "SmolLM2-135M",
    "SmolLM2-1.7B-Instruct", "Mistral-7B-v0.3", "TinyLlama-1.1B-Chat-v1.0", "gemma-3-1b-it",
    "phi-4",
    "OLMo-2-1B", "granite-3.3-2b", "pythia-160m", "Qwen3-4B", "stories15M", "name", "my-model",
    "chat-7b",
)  # fmt: skip
FILES = (
    "model.gguf", "llama.gguf", "mistral.gguf", "my-model.gguf", "qwen.gguf", "chat.gguf",
    "tiny.gguf",
    "./model.gguf", "models/llama.gguf", "story-q8_0.gguf", "./my-model", "models/qwen",
    "~/models/llama",
)  # fmt: skip
FAMILIES = (
    "qwen", "llama", "mistral", "gemma", "phi", "gpt2", "falcon", "mamba", "olmo", "granite",
    "qwen2", "qwen3",
)  # fmt: skip
FORMATS = ("gguf", "awq", "gptq", "mxfp4", "fp8", "bnb", "exl2", "int8")
BACKENDS = ("cpu", "cuda", "rocm", "metal", "vulkan", "xpu", "triton")


def model_name(rng: Random) -> str:
    """Something that `-m` accepts, often one that no list holds."""
    chance = rng.random()
    if chance < 0.45:
        org = made_up(rng, 2) if rng.random() < 0.3 else pick(rng, ORGS)
        if rng.random() < 0.3:  # often a word returns, and whoever copies must know which it was
            word = org.rpartition("-")[2]
            return f"{org}/{word}{one(rng, '-', '2-', '3-', '-2.5-')}{rng.randrange(1, 80)}B"
        name = f"{made_up(rng, 2)}-{rng.randrange(1, 80)}b" if rng.random() < 0.3 else pick(rng,
        MODELS)
        return f"{org}/{name}"
    if chance < 0.8:
        return pick(rng, FILES)
    return made_up(rng, 2) + one(rng, ".gguf", "-q8_0.gguf", "-7b.gguf")


def general(rng: Random, topic: Topic) -> Dialogue:
    """A question about one topic in one of its phrasings."""
    if topic.asked and (not topic.do or rng.random() < 0.4):
        question = pick(rng, topic.asked)
    else:
        question = pick(rng, ASK).replace("{do}", pick(rng, topic.do))
    answer = topic.answers[0] if rng.random() < 0.8 else pick(rng, topic.answers)
    return exchange(untidy(rng, question), answer)


def named(rng: Random) -> Dialogue:
    """A question that names a model, family, format or device, which the answer repeats."""
    do, answer, what = pick(rng, NAMED)
    lists = {"family": FAMILIES, "format": FORMATS, "backend": BACKENDS}
    if what == "model":
        name = model_name(rng)
    else:
        name = made_up(rng, 2) if rng.random() < 0.3 else pick(rng, lists[what])
    question = pick(rng, ASK).replace("{do}", pick(rng, do).replace("{x}", name))
    # Names are case sensitive, so these are typed as they are.
    return exchange(question, answer.replace("{x}", name))


def command(rng: Random) -> Dialogue:
    """One question about the commands."""
    if rng.random() < 0.25:
        return named(rng)
    # Topics are chosen by the number of their phrasings: the common ones have the most.
    return general(rng, pick(rng, WEIGHTED))


WEIGHTED = [topic for topic in TOPICS for _ in range(2 + len(topic.do) + len(topic.asked))]
