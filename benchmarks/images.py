"""Models that see: encoders and first tokens in turn with transformers; what images cost others.

    python benchmarks/images.py [--layers 4] [--text-layers 16] [--rounds 3] [--tiny] [WORK ...]

WORK: encode, prompt, again, streams; all without any. Random bfloat16 weights in published shapes:
SigLIP-400M's encoder under Gemma 3, and Qwen2.5-VL's with a language model of the 1B class, whose
matrices Tramontane quantizes to q4_k. transformers must be in the environment; it runs in bfloat16
and float32, and the better one counts. --layers: of each encoder, all layers being alike. Both run
in one process, in turn, on one 448 x 448 image; medians and the least of all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers
from tramontane import LLM
from tramontane.engine.request import Request
from tramontane.media.processor import with_media
from tramontane.sampling_params import SamplingParams

SPECIAL = {
    "gemma3": ("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
    "qwen2.5-vl": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
}
MARKS = {
    "gemma3": "<start_of_image>",
    "qwen2.5-vl": "<|vision_start|><|image_pad|><|vision_end|>",
}
WORKS = ("encode", "prompt", "again", "streams")


def text_config(layers: int, tiny: bool) -> dict[str, Any]:
    """Llama-3.2-1B's shape."""
    wide = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 32}  # fmt: skip
    full = {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 64}  # fmt: skip
    return {"num_hidden_layers": layers, "vocab_size": 512 if tiny else 32000,
            "max_position_embeddings": 4096, "bos_token_id": 1, "eos_token_id": 2,
            "pad_token_id": 0} | (wide if tiny else full)  # fmt: skip


def model_of(name: str, layers: int, text: dict[str, Any], tiny: bool) -> Any:
    """transformers' model."""
    at = {token: 256 + place for place, token in enumerate(SPECIAL[name])}
    if name == "gemma3":
        size = {"hidden_size": 64, "intermediate_size": 96} if tiny else {
            "hidden_size": 1152, "intermediate_size": 4304}  # fmt: skip
        vision = transformers.SiglipVisionConfig(
            **size, num_hidden_layers=layers, num_attention_heads=2 if tiny else 16,
            image_size=448, patch_size=14, vision_use_head=False,
        )  # fmt: skip
        config: Any = transformers.Gemma3Config(
            vision_config=vision, text_config=transformers.Gemma3TextConfig(**text),
            mm_tokens_per_image=256, boi_token_index=at["<start_of_image>"],
            eoi_token_index=at["<end_of_image>"], image_token_index=at["<image_soft_token>"],
        )  # fmt: skip
        return transformers.Gemma3ForConditionalGeneration(config)
    pairs = text["head_dim"] // 2
    section = [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": section}
    size = {"hidden_size": 64, "intermediate_size": 96, "num_heads": 2} if tiny else {
        "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}  # fmt: skip
    config = transformers.Qwen2_5_VLConfig(
        vision_config=size | {"depth": layers, "out_hidden_size": text["hidden_size"],
                              "fullatt_block_indexes": list(range(7, layers, 8))},
        text_config=text | {"rope_parameters": rope},
        image_token_id=at["<|image_pad|>"], video_token_id=at["<|video_pad|>"],
        vision_start_token_id=at["<|vision_start|>"], vision_end_token_id=at["<|vision_end|>"],
    )  # fmt: skip
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def write(folder: Path, name: str, layers: int, text: dict[str, Any], tiny: bool) -> Any:
    """Write a checkpoint; returns transformers' model of it, in bfloat16."""
    model = model_of(name, layers, text, tiny).to(torch.bfloat16).eval()
    model.save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    inner.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    inner.add_special_tokens(list(SPECIAL[name]))
    inner.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    settings: dict[str, Any] = {"size": {"shortest_edge": 3136, "longest_edge": 12845056}}
    if name == "gemma3":
        settings = {"size": {"height": 448, "width": 448}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return model


def picture(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (448, 448, 3), np.uint8)


def timed(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compared(
    what: str, ours: Callable[[], Any], model: Any, theirs: Callable[[Any], Any], rounds: int
) -> None:
    """Print a line. theirs: called with a dtype, to whose weights the model was turned."""
    mine: list[float] = []
    others: dict[Any, list[float]] = {torch.bfloat16: [], torch.float32: []}
    threads = torch.get_num_threads()
    ours()
    for kind, found in others.items():
        model.to(kind)
        torch.set_num_threads(os.cpu_count() or 1)
        with torch.inference_mode():
            theirs(kind)
            for _ in range(rounds):
                torch.set_num_threads(os.cpu_count() or 1)
                found.append(timed(lambda kind=kind: theirs(kind)))  # type: ignore[misc]
                torch.set_num_threads(threads)
                mine.append(timed(ours))
    model.to(torch.bfloat16)
    best = min(others.values(), key=statistics.median)
    print(
        f"| {what} | {statistics.median(best):.3g} s | {statistics.median(mine):.3g} s | "
        f"{statistics.median(best) / statistics.median(mine):.2f}x "
        f"({min(best) / min(mine):.2f}x of the least) |",
        flush=True,
    )


def encode(folder: Path, name: str, layers: int, rounds: int, tiny: bool) -> None:
    text = text_config(2, tiny=True)
    model = write(folder, name, layers, text, tiny)
    with LLM(folder, num_ctx=512) as llm:
        loaded = llm.inner.loaded.model
        item = llm.inner.processors["image"].prepare(picture(0))
        arrays = {key: torch.as_tensor(value) for key, value in item.arrays.items()}

        def ours() -> None:
            with torch.inference_mode():
                for _ in loaded.encode(item.kind, arrays):
                    pass

        def theirs(kind: Any) -> None:
            if name == "gemma3":
                model.model.vision_tower(arrays["pixels"][None].to(kind))
            else:
                grid = torch.tensor([[1, *item.arrays["grid"].tolist()]])
                model.model.visual(arrays["patches"].to(kind), grid)

        compared(f"encode, {name}, {layers} layers", ours, model, theirs, rounds)


def asked(llm: LLM, name: str, image: int | None, text: str, tokens: int) -> Request:
    inner = llm.inner
    params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
    if image is None:
        return Request(prompt=tuple(inner.tokenizer.encode_chat(text)), params=params)
    items = [inner.processors["image"].prepare(picture(image))]
    ids, media = with_media(MARKS[name] + text, items, inner.processors, inner.tokenizer)
    return Request(prompt=ids, media=media, params=params)


def answered(llm: LLM, request: Request) -> None:
    (result,) = llm._results([request])
    assert result.error is None, result.error


def language(folder: Path, works: list[str], told: argparse.Namespace) -> None:
    """What a model of the 1B class does with images."""
    name = "qwen2.5-vl"
    text = text_config(told.text_layers, told.tiny)
    model = write(folder, name, told.layers, text, told.tiny)
    question = "what is on the table of this room?? " * 6
    with LLM(folder, num_ctx=2048, max_seqs=10, kv_tokens=24_000, isq=4) as llm:
        seeds = iter(range(1, 1000))
        if "prompt" in works:
            first = asked(llm, name, 0, question[:200], 1)
            assert first.media is not None
            item = first.media.runs[0].item
            grid = torch.tensor([[1, *item.arrays["grid"].tolist()]])
            ids = torch.tensor([first.prompt])
            kinds = (ids == ids[0, first.media.runs[0].start]).int()

            def theirs(kind: Any) -> None:
                patches = torch.as_tensor(item.arrays["patches"]).to(kind)
                model(input_ids=ids, pixel_values=patches, image_grid_thw=grid,
                      mm_token_type_ids=kinds, logits_to_keep=1)  # fmt: skip

            def ours() -> None:
                answered(llm, asked(llm, name, next(seeds), question[:200], 1))

            what = f"image and 200 tokens to the first, encoder of {told.layers} layers"
            compared(what, ours, model, theirs, told.rounds)
        if "again" in works:
            again(llm, name, seeds, told.rounds)
        if "streams" in works:
            streams(llm, name, seeds, told.images)


def again(llm: LLM, name: str, seeds: Iterable[int], rounds: int) -> None:
    shares = []
    for _, seed in zip(range(rounds), seeds, strict=False):
        asking = ["what is it?" + " " * 189, "is it blue?"]
        requests = [asked(llm, name, seed, text, 1) for text in asking]
        first, second = (timed(lambda one=one: answered(llm, one)) for one in requests)  # type: ignore[misc]
        shares.append(second / first)
    print(f"| second question about an image, of the first's time | | "
          f"{statistics.median(shares):.3f} | |", flush=True)  # fmt: skip


def streams(llm: LLM, name: str, seeds: Iterable[int], images: int) -> None:
    """Eight running answers while images are encoded, one after the other."""
    engine, times, done = llm.inner.engine, [[] for _ in range(8)], threading.Event()
    began: list[float] = []
    requests = [asked(llm, name, None, f"stream {n} of text goes on", 1500) for n in range(8)]
    cancel = []
    for request, seen in zip(requests, times, strict=True):
        cancel.append(engine.submit(request, lambda event, seen=seen: seen.append(
            time.perf_counter())))  # fmt: skip
    while not all(len(seen) > 10 for seen in times):
        time.sleep(0.05)
    began.append(time.perf_counter())
    for _, seed in zip(range(images), seeds, strict=False):
        answered(llm, asked(llm, name, seed, "what is it?", 1))
    ended = time.perf_counter()
    for each in cancel:
        each()
    done.set()
    gaps = []
    for seen in times:
        inside = [at for at in seen if began[0] <= at <= ended]
        gaps += np.diff(inside).tolist()
    middle, late = statistics.median(gaps), float(np.quantile(gaps, 0.99))
    print(f"| p99 between tokens of 8 streams beside {images} images ({len(gaps)} gaps) | "
          f"median {middle * 1e3:.0f} ms | {late * 1e3:.0f} ms | {late / middle:.2f}x |",
          flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("works", nargs="*", metavar="WORK", default=[])
    for option, number in (("layers", 4), ("text-layers", 16), ("rounds", 3), ("images", 2)):
        parser.add_argument(f"--{option}", type=int, default=number)
    parser.add_argument("--tiny", action="store_true", help="small shapes, to see that it runs")
    told = parser.parse_args()
    works = told.works or list(WORKS)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} threads, load before {load:.1f}\n")
    print("| work | transformers | Tramontane | ratio |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        if "encode" in works:
            for name in SPECIAL:
                folder = Path(place) / name
                encode(folder, name, told.layers, told.rounds, told.tiny)
        if set(works) - {"encode"}:
            language(Path(place) / "language", works, told)


if __name__ == "__main__":
    main()
