"""`serve`, in a process of its own, as `flowrun server` runs it."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.errors import UsageError
from flowrun.server.asgi import Receive, Scope, Send
from flowrun.server.serve import serve

SCRIPT = """
import asyncio, sys
from flowrun.server.serve import serve

async def app(scope, receive, send):
    print("in", flush=True)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})

serve(app, "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True))
"""


def test_a_served_request_is_finished_after_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/slow")
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGTERM)
        assert connection.getresponse().read() == b"OK"
        connection.close()
        assert process.wait(10) == 0


def test_answers_are_not_held_back_by_nagles_algorithm(tmp_path: Path) -> None:
    script = tmp_path / "served.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        code = (
            "import http.client, time, sys\n"
            "connection = http.client.HTTPConnection(sys.argv[1])\n"
            "times = []\n"
            "for _ in range(20):\n"
            "    start = time.perf_counter()\n"
            "    connection.request('GET', '/'); connection.getresponse().read()\n"
            "    times.append(time.perf_counter() - start)\n"
            "print(sorted(times)[10])"
        )
        command = [sys.executable, "-c", code, url.removeprefix("http://")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        process.terminate()
    assert float(done.stdout) < 0.03  # with it, 0.04


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            serve(nothing, "127.0.0.1", port, on_ready=print)
    assert str(caught.value) == (
        f"Nothing can listen on 127.0.0.1, port {port}: Address already in use.\n"
        "Choose another with --host and --port; --port 0 takes a free one."
    )
