#!/usr/bin/env bash
# tokenizers 0.23.3: a letter that was added to a byte-level vocabulary, and that encodes to its token, decodes to U+FFFD.
#
# Vocabularies do so: deepseek-llm's adds ø, ö and ú among others, and a text with such a letter is cut into them.
#
# Guess: an added token is text that is found as it is, so decoding its id gives that text back.
# Seen: the ByteLevel decoder looks up the letters of added tokens in its byte alphabet too. In it the letter ø is byte
#   0xF8, which is no UTF-8, so the text comes back as U+FFFD; "Ã©" comes back as another letter, é. An added token with
#   any character outside the alphabet, such as a space or 日, comes back as it is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
"$folder/venv/bin/python" - <<'EOF'
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
inner.decoder = decoders.ByteLevel()
inner.add_tokens([AddedToken(t, normalized=False) for t in ("<ø>", "<Ã©>", "< ø>", "<日ø>")])
seen = {}
for text in ("<ø>", "<Ã©>", "< ø>", "<日ø>", "ø"):
    ids = inner.encode(text).ids
    seen[text] = inner.decode(ids)
    print(f"{text!r} -> {len(ids)} token(s) -> {seen[text]!r}")
right = {"<ø>": "<\ufffd>", "<Ã©>": "<é>", "< ø>": "< ø>", "<日ø>": "<日ø>", "ø": "ø"}
raise SystemExit(0 if seen == right else f"not as stated: expected {right}")
EOF
echo "as stated"
