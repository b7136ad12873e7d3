"""A checkpoint held against an independent implementation: `tramontane.verify`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from tramontane import memory
from tramontane.checkpoint.build import build_for
from tramontane.checkpoint.load_options import LoadReport
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import ConfigError, RequestError
from tramontane.hub.options import HubOptions
from tramontane.llm import LLM
from tramontane.model.source import DEFAULT, find_model
from tramontane.registry import Registry
from tramontane.tokenizer.tokenizer import Tokenizer

from .choose import choose_reference
from .compared import Compared, Run
from .ours import Ours
from .prompts import STEP, TEXTS, long_text, longest, plain_ids
from .reference import Reference, Subject
from .result import Verification
from .words import tokenizer_of, words_of

log = logging.getLogger("tramontane.progress")
REFERENCE_DTYPES = ("f32", "bf16", "f16")


def verify(
    model: str | Path = DEFAULT,
    against: str | None = None,
    prompts: Sequence[str | Sequence[int]] = (),
    *,
    length: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    activations: str = "auto",
    kv_type: str = "auto",
    threads: int | None = None,
    reference_dtype: str = "f32",
    force: bool = False,
    revision: str | None = None,
    token_source: str = "cache",
    cache_dir: Path | None = None,
    registry: Registry | None = None,
) -> Verification:
    """Compare a model's logits, hidden states and token ids with those of another implementation.

    model: as for `LLM`. against: "transformers", "transformers:CLASS", "llama.cpp", "gguf:FILE" or
    "folder:PATH", another file of the same model that Tramontane runs; None: transformers for
    folders, llama.cpp for GGUF files. prompts: texts or token ids; without any, three of its own.
    length: tokens of the longest of these. device, dtype, activations, kv_type, threads: how the
    model is run, besides the exact computation that shows layers. reference_dtype: what
    transformers computes in, f32, bf16 or f16. force: even if memory seems too small. revision,
    token_source, cache_dir: of the hub.
    Raises NoReference where nothing can be compared, and what `LLM` raises, all TramontaneError.
    """
    if reference_dtype not in REFERENCE_DTYPES:
        names = ", ".join(REFERENCE_DTYPES)
        raise ConfigError(f"reference_dtype {reference_dtype!r} is not one of {names}")
    registry = registry or Registry.from_environment()
    hub = HubOptions(revision=revision, token_source=token_source, cache_dir=cache_dir)
    path = find_model(str(model), registry, hub)
    subject, tokenizer, windows = _opened(path, registry)
    reference = choose_reference(against, subject, hub, reference_dtype, force=force)
    asked = _asked(prompts, subject, tokenizer, windows, length)

    context = max(len(run.prompt) for run in asked)
    log.info("running the model on %s ...", device)
    with LLM(
        path, device=device, dtype=dtype, activations=activations, kv_type=kv_type,
        threads=threads, num_ctx=context, batch_size=STEP, force=force, registry=registry,
    ) as llm:  # fmt: skip
        report = llm.report
        on_device = [torch.from_numpy(llm.logits(run.prompt).copy()) for run in asked]
    del llm
    memory.give_back()
    return _against(reference, subject, asked, on_device, report, activations, force=force)


def _against(
    reference: Reference, subject: Subject, asked: list[Run], on_device: list[Tensor],
    report: LoadReport, activations: str, *, force: bool,
) -> Verification:  # fmt: skip
    """The comparison itself, one implementation in memory at a time."""
    prompts = [run.prompt for run in asked]
    texts = [run.text for run in asked if run.text is not None]
    watched = min((p for p in prompts if len(p) > 1), key=len, default=prompts[0])
    parts = prompts.index(watched)
    log.info("running %s ...", reference.name)
    theirs = reference.run(prompts, texts, parts, force=force)
    log.info("computing exactly on the reference device ...")
    ours = Ours(subject.path, subject.registry, max(map(len, prompts)), force=force)
    words = words_of(subject.path, subject.registry, texts)
    return Compared(
        subject, reference, ours, theirs, asked, on_device, report, activations, words, parts
    ).result()


def _opened(path: Path, registry: Registry) -> tuple[Subject, Tokenizer | None, list[int]]:
    """What is known without weights: the model, its tokenizer, and its windows."""
    checkpoint = open_checkpoint(path, registry)
    try:
        built = build_for(checkpoint, registry)
        tokenizer = tokenizer_of(checkpoint)
    finally:
        checkpoint.close()
    windows = {getattr(module, "window", None) for module in built.model.modules()}
    count = sum(prod(slot.shape) for slot in built.wanted.values())
    subject = Subject(path, checkpoint.header, built.config, count, registry)
    return subject, tokenizer, [w for w in windows if isinstance(w, int)]


def _asked(
    prompts: Sequence[str | Sequence[int]], subject: Subject, tokenizer: Tokenizer | None,
    windows: Sequence[int], length: int | None,
) -> list[Run]:  # fmt: skip
    """Prompts as token ids, with their texts. Raises RequestError for what cannot be."""
    context, vocabulary = subject.config.max_position_embeddings, subject.config.vocab_size
    if not prompts:
        size = longest(length, context, windows)
        if tokenizer is None:
            lengths = sorted({min(n, size) for n in (1, 37, size)})
            return [Run(plain_ids(n, vocabulary)) for n in lengths]
        texts = [*TEXTS, long_text(8 * size)]
        found = [Run(tokenizer.encode(text)[:size], text) for text in texts]
        return [run for run in found if run.prompt]
    found = []
    for prompt in prompts:
        if not isinstance(prompt, str):
            found.append(Run(list(prompt)))
        elif tokenizer is None:
            raise RequestError(f"{subject.path} has no tokenizer: give prompts as token ids")
        else:
            found.append(Run(tokenizer.encode(prompt), prompt))
        count = len(found[-1].prompt)
        if not 1 <= count <= context:
            raise RequestError(f"prompt {prompt!r:.60}: {count} tokens are not from 1 to {context}")
    return found
