"""Makes the embedded model from nothing: tokenizer, training and the GGUF file, in one command."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from data import batches
from export import export
from model import Llama, Shape, visible
from restore import restore, stored_tokenizer
from tokenizer import train_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int = 12000
    rows: int = 4
    length: int = 512
    rate: float = 2.5e-3
    warmup: int = 100
    decay: float = 0.1
    seed: int = 1
    compiled: bool = True
    minutes: float = math.inf
    """Upper bound; a machine too slow for all steps learns less but still finishes its cosine."""


@dataclass(frozen=True)
class Outcome:
    """What a training cost and came to."""

    losses: list[float]
    tokens: int
    learnt: int
    cpu_minutes: float
    wall_minutes: float


def rate_at(step: int, progress: float, plan: Plan) -> float:
    """A short linear warm-up, then half a cosine down to a fiftieth."""
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    return plan.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def losses_of(model: Llama, inputs: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of every token."""
    logits = model(inputs, mask).float()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")


def optimizer_for(model: Llama, plan: Plan) -> torch.optim.AdamW:
    """AdamW, with decay on matrices only."""
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    norms = [weight for weight in model.parameters() if weight.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": plan.decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)


def train(
    model: Llama, tokenizer: Tokenizer, plan: Plan, checkpoint: Path | None = None
) -> Outcome:
    """Train in bfloat16 on the CPU, with master weights in float32.

    The checkpoint, where one is wanted, is written now and then, to read how far it has come.
    """
    optimizer = optimizer_for(model, plan)
    compute = torch.compile(losses_of) if plan.compiled else losses_of
    losses: list[float] = []
    learnt = 0
    wall, cpu = time.perf_counter(), time.process_time()
    stream = batches(tokenizer, plan.seed, plan.rows, plan.length)
    for step in range(plan.steps):
        minutes = (time.perf_counter() - wall) / 60
        progress = max(step / plan.steps, minutes / plan.minutes)
        if progress >= 1:
            break
        batch = next(stream)
        weights = batch.weights.flatten()
        learnt += int((weights > 0).sum())
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, progress, plan)
        with torch.autocast("cpu", torch.bfloat16):
            each = compute(model, batch.inputs, visible(batch.owners), batch.targets)
        ((each * weights).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(each.detach()[weights > 0].mean()))
        if step % 100 == 99:
            recent = sum(losses[-100:]) / 100
            print(f"step {step + 1} loss {recent:.4f} after {minutes:.1f} minutes", flush=True)
        if checkpoint and step % 1000 == 999:
            export(model, tokenizer, checkpoint)
    return Outcome(
        losses,
        len(losses) * plan.rows * plan.length,
        learnt,
        (time.process_time() - cpu) / 60,
        (time.perf_counter() - wall) / 60,
    )


def main() -> None:
    """Train the embedded model and write it as GGUF."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the GGUF file to write")
    parser.add_argument("--start", type=Path, help="a GGUF file of the same shape to go on from")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="stop by then")
    parser.add_argument("--no-compile", action="store_true", help="where there is no C++ compiler")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = stored_tokenizer(options.start) if options.start else train_tokenizer()
    shape = Shape(vocab=tokenizer.get_vocab_size(), layers=options.layers)
    model = Llama(shape)
    if options.start:
        restore(model, options.start)
    plan = Plan(
        steps=options.steps,
        rate=options.rate,
        seed=options.seed,
        compiled=not options.no_compile,
        minutes=options.minutes,
    )
    outcome = train(model, tokenizer, plan, options.out)
    export(model, tokenizer, options.out)
    last = outcome.losses[-100:]
    print(f"parameters {sum(weight.numel() for weight in model.parameters())}")
    print(f"tokens {outcome.tokens}, of which learnt {outcome.learnt}")
    print(f"loss {sum(last) / len(last):.4f} over the last {len(last)} steps")
    print(f"minutes {outcome.wall_minutes:.1f}, CPU minutes {outcome.cpu_minutes:.1f}")
    print(f"bytes {options.out.stat().st_size}")


if __name__ == "__main__":
    main()
