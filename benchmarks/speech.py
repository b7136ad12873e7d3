"""Frames a second of a Dia-like model, in turn with transformers.

    python benchmarks/speech.py [--width 16] [--layers 18] [--frames 64] [--rounds 3] [--threads 2]
                                [--isq q8_0] [--speeches 1,4] [--tiny]

Random weights in Dia 1.6B's shape; --width: its decoder's width in units of 128, of which the
published model has 16 (hidden size 2048, 8192 in the MLP), heads of 128. Guidance on, so each frame
is two rows; a text of 80 bytes. transformers must be in the environment; it runs `generate` in
float32 and bfloat16, and the better one counts. All run in one process, in turn; medians of all
rounds, by the clock and by the processor's time, which says more of --threads 1 on a busy machine.
The codec is not timed: it is the same arithmetic in both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tramontane.blocks.vision import at_once
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.tasks.opening import open_model
from tramontane_arch_dia.choose import Choosing
from tramontane_arch_dia.frames import FrameLoop, Spoken

TEXT = "[S1] The quick brown fox jumps over the lazy dog. [S2] And what did the dog say?"


def dia_like(width: int, layers: int, tiny: bool) -> Any:
    """transformers' model, with the shape of Dia 1.6B at another width."""
    head = 16 if tiny else 128
    encoder = {
        "hidden_size": head * max(1, width // 2), "intermediate_size": head * 2 * width,
        "num_hidden_layers": max(1, layers * 2 // 3), "num_attention_heads": max(1, width // 2),
        "num_key_value_heads": max(1, width // 2), "head_dim": head,
    }  # fmt: skip
    decoder = {
        "hidden_size": head * width, "intermediate_size": 4 * head * width,
        "num_hidden_layers": layers, "num_attention_heads": width, "head_dim": head,
        "num_key_value_heads": max(1, width // 4), "cross_num_attention_heads": width,
        "cross_num_key_value_heads": width, "cross_head_dim": head,
        "cross_hidden_size": encoder["hidden_size"],
    }  # fmt: skip
    config = transformers.DiaConfig(encoder_config=encoder, decoder_config=decoder)
    torch.manual_seed(0)
    model = transformers.DiaForConditionalGeneration(config).eval()
    with torch.no_grad():  # it must not end before all frames are there
        model.logits_dense.weight[config.decoder_config.eos_token_id] = 0
    return model


def theirs(model: Any, frames: int) -> None:
    """What `generate` does for so many frames, with what the processor makes of the text."""
    ids = transformers.DiaTokenizer()(TEXT, return_tensors="pt")
    told = torch.full((1, 16, 9), 1025)
    for channel, delay in enumerate(model.config.delay_pattern):
        told[:, : delay + 1, channel] = 1026
    model.generate(
        input_ids=ids.input_ids, attention_mask=ids.attention_mask, decoder_input_ids=told,
        decoder_attention_mask=torch.ones(1, 16, dtype=torch.long), max_new_tokens=frames + 16,
        do_sample=True, guidance_scale=3.0, temperature=1.8, top_p=0.9, top_k=45,
    )  # fmt: skip


@torch.inference_mode()
def ours(loop: FrameLoop, frames: int, count: int) -> None:
    """The same, for several speeches at once."""
    asked = [Spoken(text=TEXT, most=frames, seed=i, how=Choosing()) for i in range(count)]
    speeches: list[Any] = [at_once(loop.begin(each)) for each in asked]  # type: ignore[arg-type]
    while running := [each for each in speeches if not each.done]:
        loop.step(running)
    for each in speeches:
        loop.drop(each)


def main() -> None:
    cli = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    cli.add_argument("--width", type=int, default=16)
    cli.add_argument("--layers", type=int, default=18)
    cli.add_argument("--frames", type=int, default=64)
    cli.add_argument("--rounds", type=int, default=3)
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--isq", default="q8_0")
    cli.add_argument("--speeches", default="1,4")
    cli.add_argument("--tiny", action="store_true", help="heads of 16, to see that it runs")
    options = cli.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    frames, counts = options.frames, [int(each) for each in options.speeches.split(",")]
    model = dia_like(options.width, options.layers, options.tiny)
    loops: dict[str, FrameLoop] = {}
    with tempfile.TemporaryDirectory() as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        for name, isq in (("bfloat16", None), (options.isq, options.isq)):
            given = LoadOptions(threads=options.threads, isq=isq, force=True)
            loaded: Any = open_model(Path(folder), options=given)
            print(f"{name}: {loaded.report.layouts}, step {loaded.report.kernels['step']}")
            loops[name] = FrameLoop(loaded.model, torch.float32, torch.device("cpu"), max(counts))
        work: dict[str, Callable[[], None]] = {}
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            work[f"transformers {name}"] = lambda dtype=dtype: theirs(model.to(dtype), frames)  # type: ignore[misc]
        for name, loop in loops.items():
            for count in counts:
                label = f"tramontane {name}, {count} at once"
                work[label] = lambda loop=loop, count=count: ours(loop, frames, count)  # type: ignore[misc]
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
        for turn in range(options.rounds + 1):
            for name, run in work.items():
                torch.set_num_threads(options.threads if name.startswith("transformers") else 1)
                started = time.perf_counter(), time.process_time()
                run()
                took = time.perf_counter() - started[0], time.process_time() - started[1]
                made = frames * (int(name.split()[-3]) if "at once" in name else 1)
                if turn:  # the first warms up
                    rates[name].append((made / took[0], made / took[1]))
    medians = {
        name: [statistics.median(each) for each in zip(*found, strict=True)]
        for name, found in rates.items()
    }
    best = [
        max(found[i] for name, found in medians.items() if "transformers" in name) for i in (0, 1)
    ]
    print(
        "| | frames a second | ratio | frames a processor second | ratio |\n|---|---|---|---|---|"
    )
    for name, (wall, processor) in medians.items():
        print(
            f"| {name} | {wall:.1f} | {wall / best[0]:.2f} | {processor:.1f} "
            f"| {processor / best[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
