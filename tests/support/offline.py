"""Runs a command without any network but its own loopback: nothing outside can be reached.

    subprocess.run([*OFFLINE, "flowrun", "run", "..."])

Unix sockets still work, so a container engine does.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

OFFLINE = (sys.executable, __file__)
"""Put before a command. It needs root, as a container engine's tests do."""
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def main() -> None:
    """Go into a network of one machine, then become the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        sys.exit(f"no network of its own: {os.strerror(ctypes.get_errno())}")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the test's own command


if __name__ == "__main__":
    main()
