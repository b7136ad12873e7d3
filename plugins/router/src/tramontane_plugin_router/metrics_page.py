"""One page of metrics of several: each line with the name of its replica."""

from __future__ import annotations

import re
from collections.abc import Iterable

COMMENT = re.compile(rb"# (HELP|TYPE) (\S+) ")
SAMPLE = re.compile(rb"([a-zA-Z_:][\w:]*)(\{)?(.*)", re.DOTALL)


def merged(pages: Iterable[tuple[str, bytes]]) -> bytes:
    """Pages in Prometheus' text format as one, with the label `replica`: a family's lines stand
    together, as the format asks for. pages: a replica's name and its page."""
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for name, page in pages:
        label = b'replica="' + _escaped(name) + b'"'
        family = b""
        for line in page.splitlines():
            if found := COMMENT.match(line):
                family = found[2]
                head = heads.setdefault(family, [])
                samples.setdefault(family, [])
                if not any(one.startswith(found[0]) for one in head):
                    head.append(line)
            elif line and not line.startswith(b"#") and (sample := SAMPLE.fullmatch(line)):
                group = family if family and sample[1].startswith(family) else sample[1]
                heads.setdefault(group, [])
                if not sample[2]:
                    rest = b"}" + sample[3]
                else:
                    rest = sample[3] if sample[3].startswith(b"}") else b"," + sample[3]
                samples.setdefault(group, []).append(sample[1] + b"{" + label + rest)
    lines = [line for family in heads for line in (*heads[family], *samples[family])]
    return b"".join(line + b"\n" for line in lines)


def _escaped(text: str) -> bytes:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").encode()
