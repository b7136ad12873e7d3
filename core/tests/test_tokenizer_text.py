"""What a Tokenizer does with texts and ids, on vocabularies small enough to read."""

import threading

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tramontane.errors import RequestError
from tramontane.tokenizer import Tokenizer
from tramontane.tokenizer.byte_alphabet import CHAR_OF, byte_level, spell
from tramontane.tokenizer.spm import from_pieces

SPM = [
    ("<unk>", 0.0, 2),
    ("<s>", 0.0, 3),
    ("</s>", 0.0, 3),
    *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)),
    *((text, -float(rank), 1) for rank, text in enumerate(["\u2581h", "\u2581", "h", "i"])),
]
H, SPACE, _, EYE = range(259, 263)


def spm(**options: object) -> Tokenizer:
    return Tokenizer(from_pieces(SPM, model="bpe"), bos_id=1, eos_ids=[2], **options)  # type: ignore[arg-type]


def bytes_only() -> Tokenizer:
    vocab = {CHAR_OF[byte]: byte for byte in range(256)}
    inner = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<|end|>", special=True)])
    inner.add_tokens([AddedToken("<tool é>", special=False)])
    return Tokenizer(inner, eos_ids=[256])


def test_spm_text_and_back() -> None:
    ours = spm(add_bos=True)
    assert ours.encode("hi h") == [1, H, EYE, H]
    assert ours.encode("hi h", add_special=False) == [H, EYE, H]
    assert ours.decode([1, H, EYE, H, 2]) == "hi h"
    assert ours.decode([1, H, EYE, 2], skip_special=False) == "<s> hi</s>"
    assert ours.decode([SPACE, SPACE, H]) == "  h"


def test_bos_is_not_doubled_but_eos_comes() -> None:
    ours = spm(add_bos=True, add_eos=True)
    assert ours.encode("<s>hi") == [1, H, EYE, 2]
    assert ours.encode("<s>hi</s>") == [1, H, EYE, 2]
    assert ours.encode("") == [1, 2]


def test_special_spellings_can_be_plain_text() -> None:
    ours = spm(add_bos=True)
    ids = ours.encode("<s>hi", parse_special=False)
    assert ids[:2] == [1, SPACE]
    assert 1 not in ids[1:]
    assert ours.decode(ids) == "<s>hi"
    assert bytes_only().encode("<|end|>", parse_special=False) == list(b"<|end|>")
    assert bytes_only().encode("<tool é>", parse_special=False) == [257]
    assert bytes_only().encode("<|end|>") == [256]


@pytest.mark.parametrize("text", ["\ud800", "abc\udfff"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=f"character {len(text) - 1} .*surrogate"):
        spm().encode(text)


def test_token_bytes() -> None:
    ours = spm()
    assert [ours.token_bytes(i) for i in (1, 3 + 0xE4, H, EYE)] == [b"<s>", b"\xe4", b" h", b"i"]
    assert bytes_only().token_bytes(0xE4) == b"\xe4"
    assert bytes_only().token_bytes(257) == "<tool é>".encode()
    assert ours.token_bytes(10**6) == ours.token_bytes(-1) == b""


def test_pieces_and_sizes() -> None:
    ours = spm()
    assert (ours.piece(H), ours.vocab_size) == ("\u2581h", 263)
    assert ours.special_ids == {0, 1, 2}
    for index in (263, -1, 1 << 40):
        with pytest.raises(RequestError, match=f"{index} is not in the vocabulary of 263"):
            ours.piece(index)


def test_broken_utf8_is_replaced() -> None:
    ours = bytes_only()
    assert ours.decode(b"a\xe4\xbdb") == "a\ufffdb"
    assert ours.decode(b"\xff\xc0") == "\ufffd\ufffd"
    assert ours.decode([97, 999_999, 98]) == "ab"


def test_the_byte_alphabet_is_that_of_the_tokenizers_package() -> None:
    assert set(CHAR_OF.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert byte_level(spell(bytes(range(256)))) == bytes(range(256))


@pytest.mark.parametrize(
    ("decoder", "ids", "text"),
    [
        (decoders.Metaspace(), [0, 1], "a b"),
        (decoders.Metaspace(prepend_scheme="never"), [0, 1], " a b"),
        (decoders.WordPiece(cleanup=False), [2, 3], "cd"),
        (decoders.BPEDecoder(suffix="</w>"), [4, 4], "e e"),
        (None, [2, 2], "c c"),
    ],
)
def test_other_spellings(decoder: decoders.Decoder | None, ids: list[int], text: str) -> None:
    vocab = {"\u2581a": 0, "\u2581b": 1, "c": 2, "##d": 3, "e</w>": 4}
    inner = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="c"))
    if decoder is not None:
        inner.decoder = decoder
    assert Tokenizer(inner).decode(ids) == text
    assert inner.decode(ids) == text


def test_threads_share_one() -> None:
    ours = spm()
    failures: list[BaseException] = []

    def work(parse: bool) -> None:
        try:
            for _ in range(200):
                assert (1 in ours.encode("<s>hi", parse_special=parse)) is parse
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index % 2 == 0,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
