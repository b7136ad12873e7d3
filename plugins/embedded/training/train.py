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
from muon import Muon
from restore import restore, stored_tokenizer
from tokenizer import train_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int = 6000
    rows: int = 4
    length: int = 512
    rate: float = 2.5e-3
    matrix_rate: float = 0.02
    warmup: int = 100
    decay: float = 0.1
    seed: int = 1
    drills: int = 16000
    """Documents that come first and only teach to copy."""
    compiled: bool = True
    minutes: float = math.inf
    """CPU time at most; a machine too slow for all steps learns less but still ends its cosine."""
    wall_minutes: float = math.inf
    """The same by the clock on the wall."""


@dataclass(frozen=True)
class Outcome:
    """What a training cost and came to."""

    losses: list[float]
    tokens: int
    learnt: int
    cpu_minutes: float
    wall_minutes: float


def rate_at(step: int, progress: float, plan: Plan) -> float:
    """The share of the full rate: a short linear warm-up, then half a cosine to a fiftieth."""
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def losses_of(model: Llama, inputs: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of every token."""
    logits = model(inputs, mask).float()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")


def optimizers_for(model: Llama, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    layers = [weight for weight in model.layers.parameters() if weight.dim() == 2]
    norms = [weight for weight in model.parameters() if weight.dim() == 1]
    others = [
        {"params": [model.embed_tokens.weight], "weight_decay": plan.decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    return [
        Muon(layers, lr=plan.matrix_rate, decay=plan.decay),
        torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.98), fused=True),
    ]


def train(
    model: Llama, tokenizer: Tokenizer, plan: Plan, checkpoint: Path | None = None
) -> Outcome:
    """Train in bfloat16 on the CPU, with master weights in float32.

    The checkpoint, where one is wanted, is written now and then, to read how far it has come.
    """
    optimizers = optimizers_for(model, plan)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    full = [group["lr"] for group in groups]
    compute = torch.compile(losses_of) if plan.compiled else losses_of
    losses: list[float] = []
    learnt = 0
    wall, cpu = time.perf_counter(), time.process_time()
    stream = batches(tokenizer, plan.seed, plan.rows, plan.length, plan.drills)
    for step in range(plan.steps):
        minutes = (time.process_time() - cpu) / 60
        waited = (time.perf_counter() - wall) / 60
        progress = max(step / plan.steps, minutes / plan.minutes, waited / plan.wall_minutes)
        if progress >= 1:
            break
        batch = next(stream)
        weights = batch.weights.flatten()
        learnt += int((weights > 0).sum())
        for group, most in zip(groups, full, strict=True):
            group["lr"] = most * rate_at(step, progress, plan)
        with torch.autocast("cpu", torch.bfloat16):
            each = compute(model, batch.inputs, visible(batch.owners), batch.targets)
        ((each * weights).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(float(each.detach()[weights > 0].mean()))
        if step % 100 == 99:
            recent = sum(losses[-100:]) / 100
            print(f"step {step + 1} loss {recent:.4f} after {minutes:.1f} CPU minutes", flush=True)
        if checkpoint and step % 250 == 249:
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
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="CPU minutes at most")
    parser.add_argument("--wall-minutes", type=float, default=Plan.wall_minutes)
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
        wall_minutes=options.wall_minutes,
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
