"""Makes the embedded model from nothing: tokenizer, training and the GGUF file, in one command."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path

import torch
from data import batches
from export import export
from generator import documents
from model import Llama, Shape, visible
from muon import Muon
from restore import restore, stored_tokenizer
from tokenizer import train_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

SETTLING_RATE = 0.1
"""The share of the full rate to which it rises once more for a training's end."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train. The rate ends with the steps, so the same plan, on the same
    number of threads, gives the same weights."""

    steps: int = 6500
    settling: int = 600
    """Steps that follow, on documents of the last kind."""
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
    saved_every: int = 500
    """Steps after which what an interruption would lose is written."""


@dataclass
class Outcome:
    """What a training cost and came to."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    learnt: int = 0
    cpu_minutes: float = 0.0
    wall_minutes: float = 0.0


def rate_at(step: int, plan: Plan) -> float:
    """The share of the full rate: a short linear warm-up, then half a cosine to a fiftieth.

    For the settling it rises once more, not as high, and falls again.
    """
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    if step < plan.steps:
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
    late = step - plan.steps
    again = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * late / plan.settling))
    return SETTLING_RATE * min(1.0, (late + 1) / 50) * again


def losses_of(
    model: Llama, inputs: Tensor, mask: Tensor, chosen: Tensor, targets: Tensor
) -> Tensor:
    """The cross-entropy of every chosen token."""
    return F.cross_entropy(model(inputs, mask, chosen).float(), targets, reduction="none")


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
    model: Llama, tokenizer: Tokenizer, plan: Plan, out: Path | None = None, resume: bool = False
) -> Outcome:
    """Train in bfloat16 on the CPU, with master weights in float32.

    out: where the model is written now and then, to read how far it has come, and beside it the
    state of the training. resume: go on from that state, to the weights of an unbroken run.
    """
    optimizers = optimizers_for(model, plan)
    full = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    done = load(out, model, optimizers) if out and resume else Outcome()
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    compute = torch.compile(losses_of) if plan.compiled else losses_of
    most = batches(tokenizer, documents(plan.seed, plan.drills), plan.rows, plan.length)
    last = batches(tokenizer, documents(plan.seed + 1, settling=True), plan.rows, plan.length)
    stream = chain(islice(most, plan.steps), last)
    for _ in done.losses:
        next(stream)
    wall, cpu = time.perf_counter(), time.process_time()
    for step in range(len(done.losses), plan.steps + plan.settling):
        batch = next(stream)
        chosen = batch.weights.flatten().nonzero().flatten()
        weights, targets = batch.weights.flatten()[chosen], batch.targets.flatten()[chosen]
        for varying in (chosen, targets):
            torch._dynamo.mark_dynamic(varying, 0)
        for group, rate in zip(groups, full, strict=True):
            group["lr"] = rate * rate_at(step, plan)
        with torch.autocast("cpu", torch.bfloat16):
            each = compute(model, batch.inputs, visible(batch.owners), chosen, targets)
        ((each * weights).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done.losses.append(float(each.detach().mean()))
        done.tokens += batch.inputs.numel()
        done.learnt += len(chosen)
        done.cpu_minutes += (time.process_time() - cpu) / 60
        done.wall_minutes += (time.perf_counter() - wall) / 60
        wall, cpu = time.perf_counter(), time.process_time()
        if step % 100 == 99:
            recent = sum(done.losses[-100:]) / 100
            spent = f"{done.cpu_minutes:.1f} CPU minutes, {done.wall_minutes:.1f} by the clock"
            print(f"step {step + 1} loss {recent:.4f} after {spent}", flush=True)
        if out and (step + 1) % plan.saved_every == 0:
            export(model, tokenizer, out)
            save(out, model, optimizers, done)
    return done


def state_beside(out: Path) -> Path:
    """The file of a training's state."""
    return out.with_suffix(".state")


def save(
    out: Path, model: Llama, optimizers: list[torch.optim.Optimizer], outcome: Outcome
) -> None:
    """Write all that the next step depends on, whole or not at all."""
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "outcome": asdict(outcome),
    }
    fresh = out.with_suffix(".state.new")
    torch.save(state, fresh)
    fresh.replace(state_beside(out))


def load(out: Path, model: Llama, optimizers: list[torch.optim.Optimizer]) -> Outcome:
    """Read that again."""
    state = torch.load(state_beside(out), weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    return Outcome(**state["outcome"])


def main() -> None:
    """Train the embedded model and write it as GGUF."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the GGUF file to write")
    parser.add_argument("--start", type=Path, help="a GGUF file of the same shape to go on from")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on after an interruption")
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
    )
    outcome = train(model, tokenizer, plan, options.out, options.resume)
    export(model, tokenizer, options.out)
    last = outcome.losses[-100:]
    print(f"parameters {sum(weight.numel() for weight in model.parameters())}")
    print(f"tokens {outcome.tokens}, of which learnt {outcome.learnt}")
    print(f"loss {sum(last) / len(last):.4f} over the last {len(last)} steps")
    print(f"minutes {outcome.wall_minutes:.1f}, CPU minutes {outcome.cpu_minutes:.1f}")
    print(f"bytes {options.out.stat().st_size}")


if __name__ == "__main__":
    main()
