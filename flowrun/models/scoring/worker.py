"""The process that predicts: loads one model in its own environment and answers over a socket.

    python -m flowrun.models.scoring.worker CONNECTION BEGUN FOLDER

The first frame that it sends says what the model is, or why it can't be loaded; from then on each
frame with requests gets one with their answers. It ends when the other side closes. BEGUN is a file
in memory where it counts the frames that it has begun with.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from flowrun.errors import FlowrunError
from flowrun.models.example import SERVING_EXAMPLE
from flowrun.models.flavors.pyfunc import PyFuncModel, load_model
from flowrun.models.scoring.frames import pack, read_frame
from flowrun.models.scoring.replies import Body
from flowrun.models.scoring.scorer import Scorer

_MOST_EXAMPLE_BYTES = 200_000
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until the socket closes."""
    _end_with_parent()
    # Whoever is at the terminal interrupts the server, which then decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a model prints must not get among what the server says.
    os.dup2(2, 1)
    connection = socket.socket(fileno=int(sys.argv[1]))
    begun = memoryview(mmap.mmap(int(sys.argv[2]), mmap.PAGESIZE)).cast("Q")
    folder = Path(sys.argv[3])
    try:
        model = load_model(str(folder))
    except FlowrunError as error:
        _tell(connection, {"failed": type(error).__name__, **_words(error)})
        return
    except Exception as error:  # noqa: BLE001 - the user's model
        traceback.print_exc()
        said = f"the model can't be loaded: {type(error).__name__}: {error}"
        _tell(connection, {"failed": "InvalidValueError", "message": said, "hint": None})
        return
    gc.collect()
    gc.freeze()  # the libraries stay: looking through them again and again takes long
    _tell(connection, {"about": _about(model, folder)})
    serve(connection, begun, Scorer(model))


def serve(connection: socket.socket, begun: memoryview, scorer: Scorer) -> None:
    """Answer frame after frame."""
    while True:
        frame = read_frame(connection)
        if frame is None:
            return
        begun[0] += 1
        head, content = frame
        replies = scorer.answer(_bodies(head["parts"], content))
        parts = [[reply.status, reply.content_type, len(reply.body)] for reply in replies]
        connection.sendall(pack({"parts": parts}, b"".join(reply.body for reply in replies)))


def _bodies(parts: list[Any], content: bytes) -> list[Body]:
    if len(parts) == 1:
        return [Body(parts[0][0], content)]
    bodies, start = [], 0
    for content_type, length in parts:
        bodies.append(Body(content_type, content[start : start + length]))
        start += length
    return bodies


def _about(model: PyFuncModel, folder: Path) -> dict[str, object]:
    example = folder / SERVING_EXAMPLE
    is_shown = example.is_file() and example.stat().st_size <= _MOST_EXAMPLE_BYTES
    metadata = model.metadata
    return {
        "flavors": list(metadata.flavors),
        "signature": metadata.signature,
        "model_id": metadata.model_id,
        "run_id": metadata.run_id,
        "example": example.read_text(encoding="utf-8") if is_shown else None,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def _words(error: FlowrunError) -> dict[str, object]:
    return {"message": error.message, "hint": error.hint}


def _tell(connection: socket.socket, head: dict[str, object]) -> None:
    connection.sendall(pack(head))


def _end_with_parent() -> None:
    """Have the system kill this process when the server is killed, even amid a prediction."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
