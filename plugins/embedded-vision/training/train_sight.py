"""Makes the embedded vision model from nothing: tokenizer, training, checkpoint; one command."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import neighbour  # noqa: F401
import torch
from batches import LONG, SHORT, Batches
from folder import write_folder
from muon import Muon
from sight import Batch, Eyes, Seeing, text_shape
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from words import train_tokenizer


@dataclass(frozen=True)
class Plan:
    """The same plan, on the same number of threads, gives the same weights."""

    steps: int = 3500
    horizons: tuple[tuple[int, int], ...] = ((0, 5500), (3000, 4000))
    """From which step on the rate falls as if there were how many."""
    rate: float = 2e-3
    matrix_rate: float = 0.02
    warmup: int = 100
    decay: float = 0.05
    seed: int = 1
    compiled: bool = True
    saved_every: int = 500
    drawing: int = 1
    """Processes that draw."""


@dataclass
class Outcome:
    losses: list[float] = field(default_factory=list)
    minutes: float = 0.0


def rate_at(step: int, plan: Plan) -> float:
    """The share of the full rate: a short linear warm-up, then half a cosine to a hundredth of the
    horizon."""
    whole = [steps for first, steps in plan.horizons if step >= first][-1]
    warm = min(1.0, (step + 1) / plan.warmup)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / whole)))


def optimizers_for(model: Seeing, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of layers, AdamW for embeddings, norms and biases."""
    layers = [*model.encoder.layers.parameters(), *model.layers.parameters()]
    matrices = [weight for weight in layers if weight.dim() == 2] + [model.connector.weight]
    known = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    groups = [
        {"params": [weight for weight in others if weight.dim() == 2], "weight_decay": plan.decay},
        {"params": [weight for weight in others if weight.dim() == 1], "weight_decay": 0.0},
    ]
    return [
        Muon(matrices, lr=plan.matrix_rate, decay=plan.decay),
        torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True),
    ]


def loss_of(model: Seeing, pixels: Tensor, tokens: Tensor, source: Tensor, mask: Tensor,
            chosen: Tensor, targets: Tensor) -> Tensor:  # fmt: skip
    logits = model.logits(pixels, tokens, source, mask, chosen)
    return F.cross_entropy(logits.float(), targets)


def causal(length: int) -> Tensor:
    """What is added to the scores, so that a token sees none behind it."""
    later = torch.ones(length, length).triu(1) > 0
    return torch.zeros(length, length).masked_fill(later, -1e4)[None, None].to(torch.bfloat16)


def train(
    model: Seeing, tokenizer: Any, plan: Plan, out: Path | None = None, resume: bool = False
) -> Outcome:
    """Train in bfloat16 with master weights in float32.

    out: the folder that is written now and then, and beside it the state of the training. resume:
    go on from that state, to the weights of an unbroken run.
    """
    optimizers = optimizers_for(model, plan)
    done = load(out, model, optimizers) if out and resume else Outcome()
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    full = [plan.matrix_rate, plan.rate, plan.rate]
    compute = torch.compile(loss_of) if plan.compiled else loss_of
    data = Batches(tokenizer, plan.seed, len(done.losses), plan.steps, model.eyes.side)
    loader = DataLoader(data, batch_size=None, num_workers=plan.drawing,
                        prefetch_factor=8 if plan.drawing else None)  # fmt: skip
    masks = {length: causal(length) for length in (SHORT[1], LONG[1])}
    begun = time.perf_counter()
    batch: Batch
    for step, batch in enumerate(loader, len(done.losses)):
        for varying in (batch.chosen, batch.targets):
            torch._dynamo.mark_dynamic(varying, 0)
        for group, rate in zip(groups, full, strict=True):
            group["lr"] = rate * rate_at(step, plan)
        with torch.autocast("cpu", torch.bfloat16):
            loss = compute(model, batch.pixels, batch.tokens, batch.source,
                           masks[batch.tokens.shape[1]], batch.chosen, batch.targets)  # fmt: skip
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done.losses.append(float(loss.detach()))
        done.minutes += (time.perf_counter() - begun) / 60
        begun = time.perf_counter()
        if step % 50 == 49:
            recent = sum(done.losses[-50:]) / 50
            print(f"step {step + 1} loss {recent:.4f} after {done.minutes:.1f} minutes", flush=True)
        if out and (step + 1) % plan.saved_every == 0:
            write_folder(model, tokenizer, out)
            save(out, model, optimizers, done)
    return done


def state_beside(out: Path) -> Path:
    return out.with_name(out.name + ".state")


def save(
    out: Path, model: Seeing, optimizers: list[torch.optim.Optimizer], outcome: Outcome
) -> None:
    """Write all that the next step depends on, whole or not at all."""
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "outcome": asdict(outcome),
    }
    fresh = out.with_name(out.name + ".new")
    torch.save(state, fresh)
    fresh.replace(state_beside(out))


def load(out: Path, model: Seeing, optimizers: list[torch.optim.Optimizer]) -> Outcome:
    """Read that again."""
    state = torch.load(state_beside(out), weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    return Outcome(**state["outcome"])


def main() -> None:
    """Train the embedded vision model and write its folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--resume", action="store_true", help="go on after an interruption")
    parser.add_argument("--no-compile", action="store_true", help="where there is no C++ compiler")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    tokenizer = train_tokenizer()
    model = Seeing(Eyes(), text_shape(tokenizer.get_vocab_size()))
    print(f"parameters {sum(weight.numel() for weight in model.parameters())}", flush=True)
    plan = Plan(steps=options.steps, seed=options.seed, compiled=not options.no_compile)
    outcome = train(model, tokenizer, plan, options.out, options.resume)
    write_folder(model, tokenizer, options.out)
    last = outcome.losses[-100:]
    print(f"loss {sum(last) / len(last):.4f} over the last {len(last)} steps")
    print(f"minutes {outcome.minutes:.1f}")


if __name__ == "__main__":
    main()
