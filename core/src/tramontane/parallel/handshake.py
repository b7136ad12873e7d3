"""How two ranks make sure that both know the secret, and which ranks they are.

    caller    MAGIC, nonce, its rank, size            (who calls is not believed yet)
    answerer  nonce, HMAC("answerer", both nonces, rank, size)
    caller    HMAC("caller", both nonces, rank, size)
    answerer  1 byte

Each proves that it knows the secret by a challenge of the other's; the roles are part of what is
signed, so that nobody can send a proof back. What follows is neither signed nor encrypted.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
import time
from dataclasses import dataclass

MAGIC = b"tramontane ranks 1\n"
NONCE = 32
RANKS = struct.Struct(">II")
CALL = struct.Struct(f">{len(MAGIC)}s{NONCE}sII")
PROOF = 32
WELCOME = b"\x06"


class Stranger(Exception):
    """Who is at the other end is no rank of this group; the message says what it did."""


@dataclass(frozen=True)
class Caller:
    """What a rank says that it is."""

    rank: int
    size: int


def call(connection: socket.socket, me: Caller, secret: bytes, until: float) -> None:
    """Introduce this rank to the one that it has connected to. until: by `time.monotonic`.

    Raises Stranger, OSError."""
    nonce = os.urandom(NONCE)
    _send(connection, CALL.pack(MAGIC, nonce, me.rank, me.size), until)
    answer = _receive(connection, NONCE + PROOF, until)
    both = nonce + answer[:NONCE]
    if not hmac.compare_digest(answer[NONCE:], _proof(secret, b"answerer", both, me)):
        raise Stranger("it does not know the secret")
    _send(connection, _proof(secret, b"caller", both, me), until)
    if _receive(connection, 1, until) != WELCOME:
        raise Stranger("it does not know the secret")


def answer(connection: socket.socket, secret: bytes, until: float) -> Caller:
    """Who has connected, if it knows the secret. Raises Stranger, OSError."""
    magic, nonce, rank, size = CALL.unpack(_receive(connection, CALL.size, until))
    if magic != MAGIC:
        raise Stranger("it speaks another protocol")
    own, who = os.urandom(NONCE), Caller(rank, size)
    both = nonce + own
    _send(connection, own + _proof(secret, b"answerer", both, who), until)
    proof = _receive(connection, PROOF, until)
    if not hmac.compare_digest(proof, _proof(secret, b"caller", both, who)):
        raise Stranger("it does not know the secret")
    _send(connection, WELCOME, until)
    return who


def _proof(secret: bytes, role: bytes, nonces: bytes, who: Caller) -> bytes:
    told = b"\0".join((MAGIC, role, nonces, RANKS.pack(who.rank, who.size)))
    return hmac.digest(secret, told, "sha256")


def _send(connection: socket.socket, data: bytes, until: float) -> None:
    connection.settimeout(_left(until))
    connection.sendall(data)


def _receive(connection: socket.socket, count: int, until: float) -> bytes:
    found = b""
    while len(found) < count:
        connection.settimeout(_left(until))
        more = connection.recv(count - len(found))
        if not more:
            raise Stranger("it closed the connection: does it know the same secret?")
        found += more
    return found


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
