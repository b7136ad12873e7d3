"""Measuring importances: forward passes over a text, with a look at what goes into each matrix."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tramontane.blocks import Linear, StackedLinear
from tramontane.blocks.routing import Router
from tramontane.checkpoint.load_options import LoadOptions, Progress
from tramontane.engine.options import EngineOptions
from tramontane.engine.request import Event, Finished, Request
from tramontane.errors import RequestError
from tramontane.sampling_params import SamplingParams

WINDOW = 512
"""Tokens of a text that are computed together."""


class Collector:
    """Adds up squares of the inputs of a model's linear layers, while it runs on the reference."""

    def __init__(self, model: nn.Module) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}
        self._hooks = [
            module.register_forward_pre_hook(self._hook(path))
            for path, module in model.named_modules()
            if isinstance(module, Linear | StackedLinear) and not isinstance(module, Router)
        ]

    def _hook(self, path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def add(module: nn.Module, given: tuple[Any, ...]) -> None:
            squares = given[0].detach().float().square()
            if isinstance(module, StackedLinear):
                counts = given[1]
                expert = torch.arange(len(counts)).repeat_interleave(counts)
                sums = torch.zeros(len(counts), squares.shape[-1]).index_add_(0, expert, squares)
            else:
                counts = torch.tensor([squares.shape[0]])
                sums = squares.sum(0, keepdim=True)
            self._sums[path] = self._sums[path] + sums if path in self._sums else sums
            self._counts[path] = self._counts[path] + counts if path in self._counts else counts

        return add

    def means(self) -> dict[str, Tensor]:
        """(columns), or (count, columns) for experts, by path; an expert that no token went
        through has the means of all."""
        found = {}
        for path, sums in self._sums.items():
            counts = self._counts[path][:, None]
            whole = sums.sum(0, keepdim=True) / counts.sum().clamp(min=1)
            means = torch.where(counts > 0, sums / counts.clamp(min=1), whole)
            found[path] = means if len(means) > 1 else means[0]
        return found

    def close(self) -> None:
        """Leave the model as it was."""
        for hook in self._hooks:
            hook.remove()


def measure(
    model: Any, text: str, progress: Callable[[int, int], None] | None = None
) -> dict[str, Tensor]:
    """Run a loaded model, on the reference device, over a text. Raises RequestError.

    model: a `LoadedModel`. progress: (tokens done, tokens in all).
    """
    tokens = model.encode(text)
    window = min(WINDOW, model.engine.context_length)
    if len(tokens) < 2:
        raise RequestError(f"the text has {len(tokens)} tokens; at least 2 are needed")
    collector = Collector(model.loaded.model)
    try:
        for start in range(0, len(tokens), window):
            part = tuple(tokens[start : start + window])
            if len(part) > 1:
                _run(model, part)
            if progress is not None:
                progress(min(start + window, len(tokens)), len(tokens))
    finally:
        collector.close()
    return collector.means()


def calibrate(
    open_model: Callable[..., Any], options: LoadOptions, file: Path, progress: Progress | None
) -> dict[str, Tensor]:
    """Load a model as it is stored, on the reference device, and measure it on a text.

    open_model: `LoadedModel`, with what it needs to find the model. Raises what that raises, and
    RequestError for the text.
    """
    text = text_of(file)
    plain = replace(
        options, device="reference", isq=None, topology=None, imatrix=None, calibration_file=None,
        num_ctx=min(options.num_ctx or WINDOW, WINDOW),
    )  # fmt: skip
    engine = EngineOptions(batch_size=WINDOW, max_seqs=1, prefix_cache=False)
    model = open_model(options=plain, engine=engine)
    try:
        return measure(model, text, progress)
    finally:
        model.close()


def text_of(file: Path) -> str:
    """The text of a file. Raises RequestError."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} is not UTF-8 at byte {error.start}") from error


def _run(model: Any, tokens: tuple[int, ...]) -> None:
    """Compute every position of a prompt, its logits included."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    request = Request(prompt=tokens, params=SamplingParams(max_tokens=0), score_prompt=True)
    model.engine.submit(request, events.put)
    while not isinstance(event := events.get(), Finished):
        pass
    if event.result.error is not None:
        raise RequestError(event.result.error)
