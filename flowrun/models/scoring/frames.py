"""What goes over the socket between the server and the process that predicts: a head and a body.

Eight bytes say how long both are; the head is JSON, the body any bytes.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

LENGTHS = struct.Struct("!II")
_PIECE_BYTES = 2**20


def pack(head: Mapping[str, object], body: bytes = b"") -> bytes:
    """Give a frame."""
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def read_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes] | None:
    """Wait for the next frame; None once the other side has closed."""
    lengths = _read(connection, LENGTHS.size)
    if lengths is None:
        return None
    head_length, body_length = LENGTHS.unpack(lengths)
    head = _read(connection, head_length)
    body = _read(connection, body_length)
    if head is None or body is None:
        return None
    return json.loads(head), body


def _read(connection: socket.socket, count: int) -> bytes | None:
    if count <= _PIECE_BYTES:
        # Most frames are there at once.
        data = connection.recv(count, socket.MSG_WAITALL) if count else b""
        return data if len(data) == count else None
    pieces = bytearray()
    while len(pieces) < count:
        piece = connection.recv(min(count - len(pieces), _PIECE_BYTES), socket.MSG_WAITALL)
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)
