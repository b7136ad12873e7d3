#!/usr/bin/env bash
# llguidance 1.9.1, JSON Schema: a minimum that is the next number after a whole one.
#
# Guess: "minimum": 99.00000000000001 (math.nextafter(99, inf), which JSON writes exactly) forbids 99, as
#   it does with 63.00000000000001 and 63; json.loads, jsonschema and IEEE 754 tell all of these apart.
# Seen: 99 is accepted, as are 100, 1000 and 99999 under theirs; 1, 63 and 255 are not. The bound is read
#   to about one unit in its last place, so that it may become the whole number itself. Four units above
#   the whole number it is forbidden for all of these.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install llguidance==1.9.1 jsonschema==4.26.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
import math

import jsonschema
from llguidance import LLMatcher, LLTokenizer

tokenizer = LLTokenizer("byte")


def accepts(schema, text):
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    assert not matcher.is_error(), matcher.get_error()
    return matcher.consume_tokens(tokenizer.tokenize_str(text)) and matcher.is_accepting()


seen = {}
for whole in (1, 63, 99, 100, 255, 1000, 99999):
    row = []
    for units in (1, 4):
        minimum = whole + units * math.ulp(float(whole))
        schema = {"type": "number", "minimum": minimum, "maximum": whole + 0.5}
        assert not jsonschema.Draft202012Validator(schema).is_valid(whole)
        row.append(accepts(schema, str(whole)))
    seen[whole] = row
    print(f"llguidance 1.9.1: {whole} accepted under a minimum 1 unit above it: {row[0]}, 4: {row[1]}")
print("jsonschema 4.26.0: none of them")
assert [whole for whole, row in seen.items() if row[0]] == [99, 100, 1000, 99999], seen
assert not any(row[1] for row in seen.values()), seen
print("guess: False everywhere; wrong for 99, 100, 1000 and 99999 at one unit")
PYTHON
