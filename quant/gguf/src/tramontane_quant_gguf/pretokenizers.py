"""How text is cut into words before byte-level BPE, by the name in `tokenizer.ggml.pre`.

A model's merges never cross these cuts. Each name stands for a list of patterns: the matches of a
pattern and what lies between them are the pieces that the next pattern cuts further. The names are
those that llama.cpp knows; the patterns are those of the models' own tokenizer.json, for Oniguruma.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tokenizers import Regex, pre_tokenizers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pre:
    """One way of cutting.

    whole_words: a word that is a token is taken without asking the merges. add_bos: what the
    model expects when its file does not say. raw: on UTF-8 with U+2581 for spaces, not bytes.
    """

    patterns: tuple[str, ...]
    whole_words: bool = False
    add_bos: bool = False
    raw: bool = False

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """The patterns, then each byte as one printable character."""
        steps: list[pre_tokenizers.PreTokenizer] = [
            pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in self.patterns
        ]
        if not self.raw:
            steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
        return pre_tokenizers.Sequence(steps)


SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
LLAMA3 = rf"{SUFFIX}|{WORD}|\p{{N}}{{1,3}}|{SIGNS}|{TAIL}"
QWEN2 = rf"{SUFFIX}|{WORD}|\p{{N}}|{SIGNS}|{TAIL}"

UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def _cased(suffix: str = "", but: str = "") -> str:
    """Words cut where capitals follow small letters."""
    upper, lower = f"[{UPPER}{but}]", f"[{LOWER}{but}]"
    start = r"[^\r\n\p{L}\p{N}]?"
    return f"{start}{upper}*{lower}+{suffix}|{start}{upper}+{lower}*{suffix}"


SIGNS_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
TEKKEN = rf"{_cased()}|\p{{N}}|{SIGNS_SLASH}|{TAIL}"
GPT4O = rf"{_cased(SUFFIX + '?')}|\p{{N}}{{1,3}}|{SIGNS_SLASH}|{TAIL}"
NOT_HAN = r"&&[^\p{Han}]"
KIMI = rf"\p{{Han}}+|{_cased(SUFFIX + '?', NOT_HAN)}|\p{{N}}{{1,3}}|{SIGNS}|{TAIL}"

KANA_HAN = r"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
ASCII_SIGNS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
DEEPSEEK3_WORDS = (
    rf"{ASCII_SIGNS}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+|"
    rf" ?[\p{{P}}\p{{S}}]+[\r\n]*|{TAIL}"
)
DEEPSEEK_LETTERS = (
    r"A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    r"\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    r"\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    r"\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    r"\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4"
    r"\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
    r"\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    r"\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b"
    r"\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787"
    r"\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    r"\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}"
    r"\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}"
)
"""Letters with case, as the Unicode of its day had them."""

DEEPSEEK_LLM = (
    r"[\r\n]",
    rf"\s?[{DEEPSEEK_LETTERS}]+",
    r"\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    r"\s+$",
    r"[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    r"\p{N}+",
)
DEEPSEEK_CODER = (
    r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}",
)  # fmt: skip
DEEPSEEK3 = (r"\p{N}{1,3}", KANA_HAN, DEEPSEEK3_WORDS)
BLOOM = r" ?[^(\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
ASIAN = (
    r"[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
    r"\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af"
    r"\u1100-\u11ff]+"
)
EAST_ASIAN = (
    r"[\uac00-\ud7a3\u3131-\u318e]+|"
    r"[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|"
    rf"[\u3105-\u312f]+|{KANA_HAN}"
)
THREES_FROM_THE_RIGHT = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
LINES = r"[^\n]+|\n+"
HALVING_SPACES = "|".join(
    rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4)
) + r"|\s{1,2}(?!\S)|\s"  # fmt: skip

DEFAULT = Pre((r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"))
"""What llama.cpp does for files from before there were names."""

_DIGITS = Pre((r"\p{N}", GPT2))
_GPT2 = Pre((GPT2,))
_LLAMA3 = Pre((LLAMA3,), whole_words=True, add_bos=True)
_QWEN2 = Pre((QWEN2,))
_GPT4O = Pre((GPT4O,))
_DEEPSEEK3 = Pre(DEEPSEEK3)
_BLOOM = Pre((BLOOM,))
_BAILING = Pre(
    (rf"'(?i:[sdmt]|ll|ve|re)|{WORD}|\p{{N}}|{SIGNS}|\s*[\r\n]|\s+(?!\S)|\s+",)
)  # fmt: skip
_AYA = Pre((r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O))
_GEMMA4 = Pre((LINES,), add_bos=True, raw=True)

PRE: dict[str, Pre] = {
    "default": DEFAULT,
    **dict.fromkeys(
        (
            "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
            "lfm2", "jina-v5-nano",
        ),
        _LLAMA3,
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), Pre((LLAMA3,))),
    "minicpm5": Pre((r"\p{N}{1,3}", LLAMA3.replace("{1,3}", "+")), whole_words=True),
    "jais-2": Pre((LLAMA3.removesuffix(r"\s+(?!\S)|\s+") + HALVING_SPACES,)),
    **dict.fromkeys(
        ("qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
         "solar-open", "grok-2"),
        _QWEN2,
    ),
    "qwen35": Pre(
        (
            rf"{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}|"
            rf" ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{TAIL}",
        )
    ),
    "ufakzeka": Pre((QWEN2.removeprefix(f"{SUFFIX}|"),)),
    "laguna": Pre((LINES, QWEN2)),
    "seed-coder": Pre(
        (rf"{SUFFIX}|{WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{TAIL}",)
    ),
    **dict.fromkeys(("bailingmoe", "bailingmoe2", "llada-moe"), _BAILING),
    "exaone-moe": Pre(
        (
            rf"{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}|"
            r" ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        )
    ),
    "deepseek-llm": Pre(DEEPSEEK_LLM),
    "deepseek-coder": Pre(DEEPSEEK_CODER),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"), _DEEPSEEK3),
    "spark2_5": Pre(
        (
            *DEEPSEEK3[:2],
            DEEPSEEK3_WORDS.replace(r"+[\r\n]*", "+").replace(r"\s*[\r\n]+", r"[\r\n]"),
            r"\p{N}",
        )
    ),
    "afmoe": Pre((THREES_FROM_THE_RIGHT, ASIAN, DEEPSEEK3_WORDS)),
    "youtu": Pre((EAST_ASIAN, GPT4O.replace(r"\p{N}{1,3}", r"\p{N}")), whole_words=True),
    "falcon": Pre((r"[\p{P}$+<=>^~|`]+", GPT2, r"[0-9][0-9][0-9]")),
    **dict.fromkeys(
        (
            "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
            "mellum2",
        ),
        _DIGITS,
    ),
    **dict.fromkeys(
        (
            "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
            "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code",
            "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert",
        ),
        _GPT2,
    ),
    **dict.fromkeys(("poro-chat", "bloom", "gpt3-finnish"), _BLOOM),
    "viking": Pre((BLOOM, r"\p{N}")),
    "tekken": Pre((TEKKEN,), whole_words=True, add_bos=True),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), _GPT4O),
    "granite-embed-multi-97m": Pre((GPT4O,), whole_words=True),
    **dict.fromkeys(("tiny_aya", "cohere2moe"), _AYA),
    "superbpe": Pre((r"\p{N}+", r"(?=(\d{3})+(?!\d))")),
    "kimi-k2": Pre((KIMI,)),
    "chameleon": Pre(
        (
            "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )",
            r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2,
        ),
        add_bos=True,
    ),
    **dict.fromkeys(("gemma4", "granite-embed-multi-311m"), _GEMMA4),
    "sarvam-moe": Pre((LINES,), raw=True),
}  # fmt: skip


def pre_named(name: str | None) -> Pre:
    """The cuts of a name; for none, or one that is not known, the default and a warning."""
    if name in PRE:
        return PRE[name]
    told = "names no pre-tokenizer" if name is None else f"names the unknown pre-tokenizer {name!r}"
    log.warning(
        "tokenizer.ggml.pre %s; using 'default', and the model may do worse than it could", told
    )
    return DEFAULT
