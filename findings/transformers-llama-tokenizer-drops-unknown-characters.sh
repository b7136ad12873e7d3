#!/usr/bin/env bash
# transformers 5.23.0: a LlamaTokenizer loaded from a folder leaves out characters that its tokenizer.json makes <unk>.
#
# Small models with vocabularies of their own, whose tokenizer_config.json says LlamaTokenizer, are so: a sentence with a bracket or a letter
# that the vocabulary lacks loses it without a trace, and the words around it become neighbours, which can even merge.
#
# Guess: AutoTokenizer reads tokenizer.json and gives the ids that the package tokenizers gives for this file.
# Seen: the class builds a tokenizer of its own from the file's vocabulary and merges, without the model's unk_token and with another
#   normalizer. A character without a token, and without byte tokens to fall back on, then gives no id at all;
#   PreTrainedTokenizerFast, from the same folder, gives <unk>.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3
mkdir "$folder/model"
"$folder/venv/bin/python" - "$folder/model" <<'EOF'
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

folder = Path(sys.argv[1])
vocabulary = {text: i for i, text in enumerate(["<unk>", "<s>", "</s>", "▁", "a", "b", "ab"])}
inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b")], unk_token="<unk>", fuse_unk=True))
inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
inner.decoder = decoders.Replace("▁", " ")
inner.save(str(folder / "tokenizer.json"))
special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
settings = {**special, "tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "legacy": False}
(folder / "tokenizer_config.json").write_text(json.dumps(settings))

text = "a[b"
seen = {
    "tokenizers": inner.encode(text).tokens,
    "PreTrainedTokenizerFast": PreTrainedTokenizerFast.from_pretrained(folder).tokenize(text),
    "AutoTokenizer": AutoTokenizer.from_pretrained(folder).tokenize(text),
}
for name, tokens in seen.items():
    print(f"{name}: {text!r} -> {tokens}")
kept = ["▁", "a", "<unk>", "b"]
right = {"tokenizers": kept, "PreTrainedTokenizerFast": kept, "AutoTokenizer": ["▁", "ab"]}
raise SystemExit(0 if seen == right else f"not as stated: expected {right}")
EOF
echo "as stated"
