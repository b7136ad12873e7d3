"""Addresses that are taken, and the files of Unix sockets."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import ConfigError
from tramontane_plugin_server.listen import listening
from tramontane_plugin_server.settings import read


def listen(**given: Any) -> Any:
    return listening(read(None, given))


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def test_a_port_is_taken_from_the_start() -> None:
    with listen(port=0) as (first,):
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use at 127.0.0.1: .*--port 0"):
            listen(port=port).__enter__()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
    with listen(port=port) as (again,):  # at once, with connections of the first still closing
        assert again.getsockname()[1] == port


def test_all_addresses_of_a_host_have_one_port() -> None:
    with listen(host="localhost", port=0) as sockets:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1


@pytest.mark.parametrize(
    ("host", "said"), [("192.0.2.1", "no such address"), ("no host", "no such address")]
)
def test_an_address_that_is_not_here(host: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"--host {host}: .*{said}"):
        listen(host=host, port=0).__enter__()


def test_a_socket_that_is_used_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen(uds=path):
        with pytest.raises(ConfigError, match="in use: another server listens there"):
            listen(uds=path).__enter__()
        assert connects(path)
    assert not path.exists()


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not connects(path)
    with listen(uds=path):
        assert connects(path)


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="not a socket"):
        listen(uds=path).__enter__()
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="No such file"):
        listen(uds=tmp_path / "none" / "s").__enter__()


def test_a_file_that_was_replaced_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen(uds=path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


@pytest.mark.parametrize(
    ("given", "mode"), [({}, 0o600), ({"uds_mode": "660"}, 0o660), ({"uds_mode": "0666"}, 0o666)]
)
def test_who_may_connect(tmp_path: Path, given: dict[str, str], mode: int) -> None:
    path = tmp_path / "s"
    with listen(uds=path, **given):
        assert stat.S_IMODE(path.stat().st_mode) == mode
