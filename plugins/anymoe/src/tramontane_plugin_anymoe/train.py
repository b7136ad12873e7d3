"""From a model, experts and a dataset to a folder with a mixture of experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tramontane import LLM, memory
from tramontane.chat.chat_turn import Turn
from tramontane.chat.media_parts import attached_file
from tramontane.chat.toolbox import Toolbox
from tramontane.engine.request import Finished, Request
from tramontane.errors import NotEnoughMemory, RequestError, TramontaneError
from tramontane.hub.options import HubOptions
from tramontane.plugin import Architecture
from tramontane.sampling_params import SamplingParams

from .dataset import Row, unused
from .experts import check_expert
from .gates import Gate, read_gates, write_gates
from .halves import Half, halves_of
from .mixture import Mixture
from .settings import GATE_FILE, MixtureSettings
from .training import Trained, TrainingOptions, train_gates
from .watching import Inputs

NOTHING = SamplingParams(max_tokens=0, temperature=0)
Told = Callable[[str, int, int, str], None]
"""(what is done, steps done, steps in all, what there is to say)"""


@dataclass(frozen=True)
class Plan:
    """What to make. layers: None: all that can have experts. template: whether prompts go through
    the chat template, as they do in chats. gates: a file of gates that are there, instead of
    training."""

    experts: tuple[str, ...]
    layers: tuple[int, ...] | None = None
    target_modules: tuple[str, ...] | None = None
    template: bool = True
    gates: Path | None = None


def build_mixture(
    llm: LLM,
    plan: Plan,
    rows: Sequence[Row],
    options: TrainingOptions,
    *,
    base: str = "",
    told: Told | None = None,
    hub: HubOptions | None = None,
) -> tuple[MixtureSettings, list[Gate], Trained | None]:
    """Look at the experts, so that what is wrong with them is told first, and train the gates.

    base: what the model is called in the folder. Raises TramontaneError.
    """
    inner = llm.inner
    host = inner.adapters.host
    architecture = inner.registry.get(Architecture, inner.header.architecture).name
    halves = halves_of(inner.loaded.model, architecture, plan.layers)
    numbers = tuple(half.layer for half in halves)
    for index, source in enumerate(plan.experts):
        if told is not None:
            told("looking at experts", index + 1, len(plan.experts), "")
        check_expert(source, host, halves, target_modules=plan.target_modules, hub=hub)
    count, trained = 1 + len(plan.experts), None
    if plan.gates is not None:
        gates = read_gates(
            plan.gates, numbers, experts=count, hidden=halves[0].hidden, inner=options.gate_hidden
        )
    else:
        inputs = collect(llm, halves, rows, template=plan.template, told=told)
        labels = [row.expert for row in rows]

        def progress(done: int, total: int, loss: float) -> None:
            if told is not None:
                told("training", done, total, f"loss {loss:.4f}")

        trained = train_gates(inputs, labels, count, options, numbers, progress)
        gates = trained.gates
    settings = MixtureSettings(
        base=base,
        architecture=architecture,
        hidden_size=halves[0].hidden,
        layers=numbers,
        experts=plan.experts,
        decide="token" if options.per_token else "prompt",
        gate_hidden=options.gate_hidden,
        target_modules=plan.target_modules,
        training={} if trained is None else {
            "rows": len(rows), "steps": len(trained.losses), "lr": options.lr,
            "epochs": options.epochs, "batch_size": options.batch_size, "seed": options.seed,
            "loss": round(sum(trained.losses[-1]) / len(numbers), 6),
            "unused_experts": unused(rows, count),
        },
    )  # fmt: skip
    return settings, gates, trained


def write_mixture(settings: MixtureSettings, gates: Sequence[Gate], folder: Path) -> None:
    """Raises RequestError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_gates(gates, settings.layers, folder / GATE_FILE)
        settings.write(folder)
    except OSError as error:
        raise RequestError(f"cannot write {folder}: {error.strerror or error}") from error


def collect(
    llm: LLM,
    halves: Sequence[Half],
    rows: Sequence[Row],
    *,
    template: bool = True,
    told: Told | None = None,
) -> list[Tensor]:
    """What the halves are given while the model alone computes each row's prompt, (layers, tokens,
    hidden) float32. Raises RequestError that names the row, NotEnoughMemory."""
    model, found = llm.inner.loaded.model, []
    requests = []
    for index, row in enumerate(rows):
        try:
            requests.append(_request(llm, row, template))
        except TramontaneError as error:
            raise RequestError(f"row {index} of the dataset: {error}") from error
    tokens = sum(len(request.prompt) for request in requests)
    need = 4 * tokens * len(halves) * halves[0].hidden
    if need > memory.free():
        raise NotEnoughMemory(
            f"training on {tokens} tokens in {len(halves)} layers takes {memory.readable(need)}, "
            f"and {memory.readable(memory.free())} are free; give experts to fewer layers "
            "(--layers), or take fewer rows"
        )
    for index, request in enumerate(requests):
        if told is not None:
            told("computing prompts", index + 1, len(rows), "")
        watch = Inputs(model, halves, len(request.prompt))
        seen = replace(request, params=NOTHING, adapters=watch)
        try:
            *_, last = llm.stream(seen)
        except RequestError as error:
            raise RequestError(f"row {index} of the dataset: {error}") from error
        assert isinstance(last, Finished)
        if last.result.error is not None:
            raise RequestError(f"row {index} of the dataset: {last.result.error}")
        if not watch.kept.isfinite().all():
            raise RequestError(
                f"row {index} of the dataset: the model's numbers for it are not finite"
            )
        found.append(watch.kept)
    return found


def _request(llm: LLM, row: Row, template: bool) -> Request:
    if not template:
        if row.images:
            raise RequestError("image_urls need the chat template")
        return llm.inner.requests(llm.inner.encode(row.prompt), None)[0]
    content: Any = row.prompt
    if row.images:
        images = [attached_file(each, "image").part for each in row.images]
        content = [*images, {"type": "text", "text": row.prompt}]
    messages = [{"role": "user", "content": content}]
    turn = Turn(llm.inner, messages, None, Toolbox([]), variables={})
    return turn.requests()[0]


def choice(llm: LLM, name: str, text: str, *, template: bool = True) -> dict[int, int]:
    """The expert of each layer, by its number, that an adapter of the model chooses for a text.
    Raises RequestError where each token chooses."""
    mixture = llm.inner.adapters.applied(name)
    if not isinstance(mixture, Mixture) or mixture.settings.decide == "token":
        raise RequestError(f"{name} does not choose experts for a text: each token has its own")
    request = replace(_request(llm, Row(text, 0), template), params=NOTHING, adapters=mixture)
    *_, last = llm.stream(request)
    assert isinstance(last, Finished)
    found = mixture.choice_of(request.prompt)
    if last.result.error is not None or found is None:
        raise RequestError(last.result.error or "nothing was chosen")
    return dict(zip(mixture.settings.layers, found, strict=True))
