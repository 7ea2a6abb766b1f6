"""A network of our own: one loopback interface and nothing else.

Some of the servers listen on every interface, and some tell their makers that they are used. In a network namespace
neither reaches anybody.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x1 | 0x40


def enter() -> None:
    """Moves this thread, and all that it starts, into such a network. Raises `OSError` where the system does not allow
    it."""
    wanted = _NEW_NETWORK if os.geteuid() == 0 else _NEW_USER | _NEW_NETWORK
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(wanted) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of one's own is to be had here")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))


def interfaces() -> list[str]:
    """The names of those that there are."""
    return [name for _, name in socket.if_nameindex()]
