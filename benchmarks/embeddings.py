"""Texts a second: an encoder's vectors by Tramontane and by sentence-transformers.

    python benchmarks/embeddings.py [--reference PYTHON] [--shape bert-base|minilm] [--texts 256]
        [--threads 2] [--isq q8_0] [--rounds 2]

Makes an encoder of random weights, and texts of 5 to 500 tokens, drawn from a fixed seed. Both take
turns, in processes of their own, and the best round of each counts. PYTHON: of an environment with
sentence-transformers; its best batch size of 1, 8 and 32 counts, with texts sorted by length as it
does. Prints a line for each round, and the ratios, by the clock and by processor time, which other
work on the machine changes less (with --threads 1: waiting threads take processor time too).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPES = {
    "bert-base": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                  "num_attention_heads": 12},
    "minilm": {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
               "num_attention_heads": 12},
}  # fmt: skip
OURS = """
import json, sys, time, tramontane
folder, threads, isq = sys.argv[1], int(sys.argv[3]), sys.argv[4]
texts = json.load(open(sys.argv[2]))
with tramontane.Embedder(folder, threads=threads, isq=isq or None) as model:
    model.embed(texts[:4])
    began, used = time.perf_counter(), time.process_time()
    model.embed(texts)
    print(json.dumps([time.perf_counter() - began, time.process_time() - used]))
"""
THEIRS = """
import json, sys, time, torch
from sentence_transformers import SentenceTransformer
folder, texts, threads = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
torch.set_num_threads(threads)
model = SentenceTransformer(folder, device="cpu")
model.encode(texts[:4])
rounds = []
for size in (1, 8, 32):
    began, used = time.perf_counter(), time.process_time()
    model.encode(texts, batch_size=size)
    rounds.append((time.perf_counter() - began, time.process_time() - used))
print(json.dumps([min(each) for each in zip(*rounds)]))
"""


def write_model(folder: Path, shape: dict[str, int]) -> None:
    """An encoder with a vocabulary of words "w0" to "w999"."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(1000))]
    vocabulary = {word: index for index, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]",
                "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                "model_max_length": 512}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    BertModel(BertConfig(**shape, vocab_size=30_522, pad_token_id=0)).save_pretrained(folder)


def timed(python: str, code: str, *arguments: str) -> tuple[float, float]:
    """Seconds that one round took, by the clock and of processor time."""
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    clock, used = json.loads(done.stdout.splitlines()[-1])
    return float(clock), float(used)


def show(name: str, count: int, seconds: tuple[float, float]) -> None:
    clock, used = seconds
    print(f"{name}: {count / clock:.2f} texts/s, {count / used:.2f} a processor second", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", metavar="PYTHON")
    parser.add_argument("--shape", choices=SHAPES, default="bert-base")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--isq", default="")
    options = parser.parse_args()
    draw = random.Random(1)
    sizes = [draw.randint(3, 498) for _ in range(options.texts)]
    texts = [" ".join(f"w{draw.randrange(1000)}" for _ in range(size)) for size in sizes]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, SHAPES[options.shape])
        (folder / "texts.json").write_text(json.dumps(texts))
        given = (name, str(folder / "texts.json"), str(options.threads))
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(timed(sys.executable, OURS, *given, options.isq))
            show("tramontane", options.texts, ours[-1])
            if options.reference:
                theirs.append(timed(options.reference, THEIRS, *given))
                show("sentence-transformers", options.texts, theirs[-1])
    if theirs:
        clock, used = (
            min(each[i] for each in theirs) / min(each[i] for each in ours) for i in range(2)
        )
        print(f"ratio {clock:.2f} by the clock, {used:.2f} by processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
