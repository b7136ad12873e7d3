"""Connections between ranks: who may come, and that nothing is kept of what is too long."""

from __future__ import annotations

import hmac
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tramontane.errors import UsageError
from tramontane.parallel.door import Door, reach
from tramontane.parallel.group import PeerLost
from tramontane.parallel.handshake import CALL, MAGIC, NONCE, Caller
from tramontane.parallel.wire import DATA, HEADER, LOST, Receiving, Sending, Wire, exchange

SECRET = b"a secret of the two ranks"
ME = Caller(1, 2)


@pytest.fixture
def pair() -> Iterator[tuple[Wire, Wire]]:
    left, right = socket.socketpair()
    made = Wire(left, "rank 1"), Wire(right, "rank 0")
    yield made
    for each in made:
        each.close()


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def test_much_goes_both_ways_at_once(pair: tuple[Wire, Wire]) -> None:
    data = os.urandom(3_000_000)
    found = [bytearray(len(data)), bytearray(len(data))]

    def run(number: int) -> None:
        told = Sending(pair[number], data), Receiving(pair[number], memoryview(found[number]))
        exchange(20, *told)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [data, data]


def test_empty_messages_and_signs_of_life_between_them(pair: tuple[Wire, Wire]) -> None:
    for data in (b"", b"step"):
        pair[0].say_alive()
        exchange(5, Sending(pair[0], data))
        found = bytearray(len(data))
        exchange(5, None, Receiving(pair[1], memoryview(found)))
        assert found == data


@pytest.mark.parametrize(
    ("kind", "length"), [(DATA, 1 << 62), (DATA, 3), (DATA, 5), (LOST, 1 << 40), (77, 4)]
)
def test_a_message_of_another_length_is_refused_by_its_header(
    pair: tuple[Wire, Wire], kind: int, length: int
) -> None:
    pair[0].socket.send(HEADER.pack(kind, length))
    with pytest.raises(PeerLost, match=f"rank 0 sent a message of kind {kind} and {length} bytes"):
        exchange(5, None, Receiving(pair[1], memoryview(bytearray(4))))


def test_who_is_lost_is_passed_on(pair: tuple[Wire, Wire]) -> None:
    pair[0].say_lost("rank 2 (10.0.0.2:3) is gone")
    with pytest.raises(PeerLost, match=r"^rank 2 \(10\.0\.0\.2:3\) is gone$"):
        exchange(5, None, Receiving(pair[1], memoryview(bytearray(4))))


def test_silence_and_a_closed_connection(pair: tuple[Wire, Wire]) -> None:
    with pytest.raises(PeerLost, match=r"rank 0 did not answer within 0\.1 s"):
        exchange(0.1, None, Receiving(pair[1], memoryview(bytearray(4))))
    with pytest.raises(PeerLost, match=r"rank 0 did not answer within 0\.1 s"):
        exchange(0.1, Sending(pair[1], bytes(10_000_000)))
    pair[0].close()
    with pytest.raises(PeerLost, match="rank 0 is gone"):
        exchange(5, None, Receiving(pair[1], memoryview(bytearray(4))))


def test_a_rank_that_only_says_that_it_waits_is_not_waited_for_for_ever(
    pair: tuple[Wire, Wire],
) -> None:
    ended = threading.Event()

    def beats() -> None:
        while not ended.wait(0.02):
            pair[0].say_alive()

    thread = threading.Thread(target=beats)
    thread.start()
    try:
        with pytest.raises(PeerLost, match="did not answer"):
            exchange(0.1, None, Receiving(pair[1], memoryview(bytearray(4))))
    finally:
        ended.set()
        thread.join()


def test_both_sides_know_the_secret() -> None:
    with Door(0, SECRET, "127.0.0.1") as door:
        wire = reach("127.0.0.1", door.port, ME, SECRET, "rank 0", soon())
        other = door.admit(ME, soon())
        exchange(5, Sending(wire, b"hello"))
        found = bytearray(5)
        exchange(5, None, Receiving(other, memoryview(found)))
        assert found == b"hello"
        assert other.name.startswith("rank 1 (127.0.0.1:")
        wire.close()
        other.close()


@pytest.mark.parametrize("secret", [b"", b"another secret of the two"])
def test_a_wrong_secret_opens_no_door(secret: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Door(0, SECRET, "127.0.0.1") as door:
        with pytest.raises(PeerLost, match=r"rank 0 \(127.*\) cannot be reached: it does not know"):
            reach("127.0.0.1", door.port, ME, secret, "rank 0", soon(0.3))
        with pytest.raises(PeerLost, match="rank 1 has not come"):
            door.admit(ME, soon(0.1))
    assert "was sent away" in caplog.text


def test_garbage_and_silence_at_the_door_keep_nobody_out() -> None:
    with Door(0, SECRET, "127.0.0.1") as door:
        strangers = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(4)]
        strangers[0].send(b"GET / HTTP/1.1\r\n\r\n" * 100)
        strangers[1].send(os.urandom(CALL.size))
        strangers[2].send(CALL.pack(MAGIC, bytes(NONCE), 1, 2) + bytes(1000))
        wire = reach("127.0.0.1", door.port, ME, SECRET, "rank 0", soon())
        door.admit(ME, soon()).close()
        wire.close()
        for each in strangers:
            each.close()


def test_a_proof_cannot_be_sent_back() -> None:
    """Who knows no secret, and answers with what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def mirror() -> None:
            connection, _ = server.accept()
            with connection:
                told = connection.recv(CALL.size)
                nonce = told[len(MAGIC) : len(MAGIC) + NONCE]
                proof = hmac.digest(b"", nonce, "sha256")
                connection.sendall(nonce + proof)

        thread = threading.Thread(target=mirror)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(PeerLost, match="it does not know the secret"):
            reach("127.0.0.1", port, ME, SECRET, "rank 0", soon(0.4))
        thread.join()


def test_the_wrong_rank_is_told_apart() -> None:
    with Door(0, SECRET, "127.0.0.1") as door:
        wire = reach("127.0.0.1", door.port, Caller(0, 2), SECRET, "rank 1", soon())
        with pytest.raises(UsageError, match=r"came to port \d+, where rank 1 was expected"):
            door.admit(ME, soon())
        wire.close()
        wire = reach("127.0.0.1", door.port, Caller(2, 3), SECRET, "rank 1", soon())
        with pytest.raises(UsageError, match=r"rank 2 \(.*\) of 3 came .* to a group of 2"):
            door.admit(ME, soon())
        wire.close()


@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.0.1", "example.org", "::"])
def test_without_a_secret_nothing_but_this_machine(address: str) -> None:
    with pytest.raises(UsageError, match="ranks on several machines need a shared secret"):
        Door(0, b"", address)
    with pytest.raises(UsageError, match="ranks on several machines need a shared secret"):
        reach(address, 1, ME, b"", "rank 0", soon())


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(UsageError, match="a secret of 5 bytes: at least 16 are needed"):
        Door(0, b"short", "127.0.0.1")


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1, port {port}: "):
            Door(port, b"")


def test_a_door_that_closes_sends_everybody_away() -> None:
    with Door(0, SECRET, "127.0.0.1") as door:
        wire = reach("127.0.0.1", door.port, ME, SECRET, "rank 0", soon())
        port = door.port
    with pytest.raises(PeerLost):
        exchange(5, None, Receiving(wire, memoryview(bytearray(4))))
    wire.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
