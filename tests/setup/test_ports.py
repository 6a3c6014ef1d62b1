"""Ports are nobody else's between the moment they are chosen and the moment they are used."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cloud.ports import Port


def test_two_who_ask_at_the_same_time_get_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.ports._numbers", lambda: [20_101, 20_102, 20_103])
    with Port() as first, Port() as second:
        assert first.number != second.number
        # Nor does another process get one of them.
        ask = f"import cloud.ports as p; p._numbers = lambda: [{first.number}, {second.number}]; p.Port()"
        said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
        assert "every port is taken" in said.stderr


def test_a_port_on_which_something_listens_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Port() as free, socket.socket() as listener:
        number = free.number
        free.close()
        listener.bind(("127.0.0.1", number))
        listener.listen()
        monkeypatch.setattr("cloud.ports._numbers", lambda: [number, number + 1, number + 2])
        with Port() as other:
            assert other.number != number


def test_the_kernel_hands_none_of_them_out_by_itself() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    with Port() as port:
        assert not first <= port.number <= last
