"""Ports that a server can be told."""

from __future__ import annotations

import socket
import subprocess
import sys

from fairlead.testing.loopback import FIRST, LAST, own_port


def test_no_port_is_given_twice_not_even_to_another_process() -> None:
    """Whoever asks first: a child that begins where this process began finds others."""
    own = [own_port() for _ in range(5)]
    assert len(set(own)) == 5
    assert all(FIRST <= port < LAST for port in own)
    code = "from fairlead.testing import loopback; loopback._start = int(__import__('sys').argv[1]); "
    code += "print(*(loopback.own_port() for _ in range(5)))"
    done = subprocess.run([sys.executable, "-c", code, str(min(own))], capture_output=True, text=True, check=True)
    other = [int(port) for port in done.stdout.split()]
    assert len(set(other)) == 5
    assert set(other).isdisjoint(own)


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    """And what is given can be listened on."""
    with socket.create_server(("127.0.0.1", own_port())) as taken:
        assert own_port() != taken.getsockname()[1]
