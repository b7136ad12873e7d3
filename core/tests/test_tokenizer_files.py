"""Tokenizers from folders against transformers and llama.cpp."""

import base64
import gzip
import json
import lzma
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import CheckpointError
from tramontane.tokenizer import Tokenizer, from_folder
from tramontane.tokenizer.byte_alphabet import byte_level

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
VOCABS = DATA / "tokenizers"
CONFIGS = DATA / "chat_templates" / "tokenizer_configs"
TINY = DATA / "weights" / "TinyStories-656K" / "16bit"
FOLDERS: dict[str, dict[str, Path]] = {
    "qwen2": {
        name: VOCABS / "qwen2" / name
        for name in ("vocab.json", "merges.txt", "tokenizer_config.json")
    },
    "qwen3": {
        "tokenizer.json": VOCABS / "qwen3" / "qwen3-tokenizer.json.xz",
        "tokenizer_config.json": CONFIGS / "qwen3" / "tokenizer_config.json",
    },
    "phi-2": {"tokenizer.json": VOCABS / "phi" / "phi-2-tokenizer.json"},
    "phi-3": {"tokenizer.json": VOCABS / "phi" / "phi-3-mini-tokenizer.json"},
    "deepseek-v3": {"tokenizer.json": VOCABS / "deepseek" / "deepseek-v3-tokenizer.json.gz"},
    "deepseek-v4": {"tokenizer.json": VOCABS / "deepseek" / "deepseek-v4-tokenizer.json.gz"},
    "ministral-3": {
        "tokenizer.json": VOCABS / "mistral" / "mistral-ministral3-tekken-tokenizer.json.xz"
    },
    "tinystories": {"tokenizer.json": TINY / "tokenizer.json"},
}
WORDS = ["hello", " world", "  ", "\n", "the", "ing", " 你好", "🚀", "é", "ﬁ", "①", "I'm ", "12345"]
PLANES = [(32, 127), (0x80, 0x2000), (0x2000, 0xD800), (0xE000, 0x1FFFF)]


def unpacked(path: Path) -> bytes:
    if not path.exists():
        pytest.skip(f"no test data at {path}")
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    return gzip.decompress(data) if path.suffix == ".gz" else data


def folder_of(name: str, parent: Path) -> Path:
    folder = parent / name
    folder.mkdir()
    for target, source in FOLDERS[name].items():
        (folder / target).write_bytes(unpacked(source))
    return folder


def texts(ours: Tokenizer, count: int) -> list[str]:
    rng = random.Random(2)
    special = [ours.piece(index) for index in sorted(ours.special_ids)[:30]]
    found = []
    for index in range(count):
        size = rng.randrange(40)
        if index % 4 == 0:
            parts = [chr(rng.randrange(*rng.choice(PLANES))) for _ in range(size)]
        else:
            parts = rng.choices(WORDS + special * (index % 4 == 1), k=size)
        found.append("".join(parts))
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_encode_and_decode_as_transformers(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = folder_of(name, tmp_path)
    ours = from_folder(folder)
    if name in ("qwen2", "qwen3"):
        theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
        assert ours.eos_ids == {theirs.eos_token_id}
        assert ours.named["eos_token"] == theirs.eos_token
    else:
        file = str(folder / "tokenizer.json")
        theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=file)
    bos = ours.inner.id_to_token(1) or "no such text"
    rng = random.Random(3)
    for text in texts(ours, 300):
        ids = theirs(text)["input_ids"]
        if not text.startswith(bos):  # there they double it
            assert ours.encode(text) == ids
        drawn = [rng.randrange(ours.vocab_size) for _ in range(30)]
        if name == "deepseek-v3":  # its file has no decoder, so they show the bytes' spelling
            continue
        for skip in (True, False):
            for some in (ids, drawn):
                if name == "tinystories":  # special by a flag that `tokenizers` loses
                    some = [index for index in some if index not in ours.special_ids]
                theirs_text = theirs.decode(
                    some, skip_special_tokens=skip, clean_up_tokenization_spaces=False
                )
                assert ours.decode(some, skip_special=skip) == theirs_text


@pytest.mark.parametrize(("vectors", "name"), [("qwen2", "qwen2"), ("phi-3", "phi-3")])
def test_folders_encode_as_llama_cpp(vectors: str, name: str, tmp_path: Path) -> None:
    ours = from_folder(folder_of(name, tmp_path))
    base = VOCABS / "llama.cpp" / f"ggml-vocab-{vectors}.gguf"
    cases = unpacked(Path(f"{base}.inp")).decode().split("\n__ggml_vocab_test__\n")
    lines = unpacked(Path(f"{base}.out")).decode().splitlines()
    assert len(lines) == 46
    for text, line in zip(cases, lines, strict=False):
        assert ours.encode(text) == [int(number) for number in line.split()], text


def test_tekken_is_the_same_as_its_tokenizer_json(tmp_path: Path) -> None:
    folder = folder_of("ministral-3", tmp_path)
    expected = from_folder(folder)
    whole = json.loads((folder / "tokenizer.json").read_text())
    vocab = sorted(whole["model"]["vocab"].items(), key=lambda pair: pair[1])
    special = [text for text, index in vocab if index in expected.special_ids]
    rest = [text for text, index in vocab if index not in expected.special_ids]
    pattern = whole["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    other = tmp_path / "tekken"
    other.mkdir()
    write(
        other / "tekken.json",
        {
            "config": {
                "pattern": pattern,
                "default_vocab_size": len(special) + len(rest),
                "default_num_special_tokens": len(special),
            },
            "vocab": [
                {"rank": rank, "token_bytes": base64.b64encode(byte_level(text)).decode()}
                for rank, text in enumerate(rest)
            ],
            "special_tokens": [
                {"rank": rank, "token_str": text} for rank, text in enumerate(special)
            ],
        },
    )
    ours = from_folder(other)
    assert (ours.bos_id, ours.eos_ids) == (1, {2})
    for text in texts(expected, 200):
        assert ours.encode(text) == expected.encode(text)


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def small(folder: Path, **parts: Any) -> None:
    """A word-level tokenizer.json: "a" is 3, <s> 1, </s> 2."""
    specials = [
        {
            "id": index,
            "content": text,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for index, text in enumerate(("<unk>", "<s>", "</s>"))
    ]
    model = {"type": "WordLevel", "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}}
    write(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": specials,
            "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": None,
            "decoder": None,
            "model": model | {"unk_token": "<unk>"},
        }
        | parts,
    )


AROUND = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {
        "<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]},
        "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
    },
}
ROLES = {"bos_token": "<s>", "eos_token": {"content": "</s>"}}


@pytest.mark.parametrize(
    ("processor", "config", "text", "expected"),
    [
        (None, {}, "a", [3]),
        (None, ROLES, "a", [3]),
        (None, ROLES | {"add_bos_token": True}, "a", [1, 3]),
        (None, ROLES | {"add_bos_token": True}, "<s> a", [1, 3]),
        (None, ROLES | {"add_bos_token": True, "add_eos_token": True}, "a", [1, 3, 2]),
        (None, {"add_bos_token": True, "bos_token": None}, "a", [3]),
        (AROUND, ROLES, "a", [1, 3, 2]),
        (AROUND, ROLES, "<s>a</s>", [1, 3, 2]),
        (AROUND, ROLES | {"add_bos_token": True, "add_eos_token": True}, "a", [1, 3, 2]),
        (AROUND, ROLES | {"add_bos_token": False}, "a", [3, 2]),
        (AROUND, ROLES | {"add_eos_token": False}, "a", [1, 3]),
        (AROUND, ROLES | {"add_bos_token": False, "add_eos_token": False}, "a", [3]),
    ],
)
def test_bos_and_eos_come_once(
    processor: Any, config: dict[str, Any], text: str, expected: list[int], tmp_path: Path
) -> None:
    small(tmp_path, post_processor=processor)
    write(tmp_path / "tokenizer_config.json", config)
    ours = from_folder(tmp_path)
    assert ours.encode(text) == expected
    bare = [index for index in ours.encode(text, add_special=False) if index > 2]
    assert bare == [3]


@pytest.mark.parametrize(
    ("files", "bos", "eos", "named"),
    [
        ({}, None, set(), {}),
        ({"config.json": {"bos_token_id": 1, "eos_token_id": 2}}, 1, {2}, {"bos_token": "<s>"}),
        ({"config.json": {"text_config": {"eos_token_id": [2, 3]}}}, None, {2, 3}, {}),
        (
            {
                "config.json": {"eos_token_id": 0},
                "generation_config.json": {"eos_token_id": [3]},
                "tokenizer_config.json": ROLES,
            },
            1,
            {2, 3},
            {"bos_token": "<s>", "eos_token": "</s>"},
        ),
        ({"special_tokens_map.json": ROLES}, 1, {2}, {"eos_token": "</s>"}),
        (
            {"config.json": {"bos_token_id": 1}, "tokenizer_config.json": {"bos_token": None}},
            None,
            set(),
            {},
        ),
    ],
)
def test_roles_from_the_files_beside_it(
    files: dict[str, Any], bos: int | None, eos: set[int], named: dict[str, str], tmp_path: Path
) -> None:
    small(tmp_path)
    for name, value in files.items():
        write(tmp_path / name, value)
    ours = from_folder(tmp_path)
    assert (ours.bos_id, set(ours.eos_ids)) == (bos, eos)
    assert named.items() <= ours.named.items()


def test_tokens_only_in_the_config_are_added(tmp_path: Path) -> None:
    small(tmp_path)
    added = {"4": {"content": "<tool>", "special": True}}
    write(tmp_path / "tokenizer_config.json", {"added_tokens_decoder": added})
    assert from_folder(tmp_path).encode("a<tool>") == [3, 4]
    write(tmp_path / "tokenizer_config.json", {"added_tokens_decoder": {"9": added["4"]}})
    with pytest.raises(CheckpointError, match="should have id 9"):
        from_folder(tmp_path)


def test_limits_of_a_trainer_do_not_cut_prompts(tmp_path: Path) -> None:
    limit = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    small(tmp_path, truncation=limit)
    assert from_folder(tmp_path).encode("a a a a") == [3] * 4


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.json", "", "not a usable tokenizer"),
        ("tokenizer.json", "[1]", "not a usable tokenizer"),
        ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {}, "merges": ["a b"]}}', "usable"),
        ("tokenizer.json", b"\xff\xfe", "not UTF-8"),
        ("tokenizer_config.json", "{", "not JSON"),
        ("tokenizer_config.json", "[]", "a JSON object"),
        ("tokenizer_config.json", "[" * 100_000, "nested too deeply"),
        ("tokenizer_config.json", '{"bos_token": 3}', "bos_token should be a text"),
        ("tokenizer_config.json", '{"add_bos_token": "yes"}', "true or false"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {}}}', "added_tokens_decoder"),
        ("tokenizer_config.json", '{"added_tokens_decoder": []}', "should be an object"),
        ("generation_config.json", '{"eos_token_id": "2"}', "token ids"),
        ("config.json", '{"eos_token_id": [1, null]}', "token ids"),
        ("added_tokens.json", '{"<x>": "4"}', "has id"),
    ],
)
def test_damaged_files(name: str, content: str | bytes, complaint: str, tmp_path: Path) -> None:
    small(tmp_path)
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=complaint) as caught:
        from_folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("vocab", "merges", "complaint"),
    [
        ('{"a": "x"}', "", "token id"),
        ('{"a": 0}', "a b c", "line 1"),
        ('{"a": 0}', "#version: 0.2\na b", "not a usable tokenizer"),
    ],
)
def test_damaged_vocab_and_merges(vocab: str, merges: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(vocab)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(CheckpointError, match=complaint):
        from_folder(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"config": {"default_num_special_tokens": 1, "default_vocab_size": 3, "pattern": "a"}},
        {
            "config": {"default_num_special_tokens": 1, "default_vocab_size": 2, "pattern": "("},
            "vocab": [{"token_bytes": "YQ=="}],
            "special_tokens": [],
        },
        {
            "config": {"default_num_special_tokens": 1, "default_vocab_size": 2, "pattern": "a"},
            "vocab": [{"token_bytes": "?"}],
            "special_tokens": [],
        },
    ],
)
def test_damaged_tekken(value: Any, tmp_path: Path) -> None:
    write(tmp_path / "tekken.json", value)
    with pytest.raises(CheckpointError, match=r"tekken\.json"):
        from_folder(tmp_path)


def test_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json.*merges.*tokenizer\.model.*tekken"):
        from_folder(tmp_path)


def test_random_damage_is_one_kind_of_error(tmp_path: Path) -> None:
    whole = unpacked(TINY / "tokenizer.json")
    rng = random.Random(4)
    for _ in range(150):
        data = bytearray(whole)
        at = rng.randrange(3000) if rng.random() < 0.5 else rng.randrange(len(data))
        data[at : at + rng.randrange(4)] = rng.choice([b"", b"9", b'"', b"}", b"]", b"\xff"])
        (tmp_path / "tokenizer.json").write_bytes(bytes(data))
        with suppress(CheckpointError):  # harmless damage is possible too
            from_folder(tmp_path)
