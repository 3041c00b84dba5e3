from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from flowrun.server.asgi import ASGIApp, Message, Receive, Scope, Send
from flowrun.server.loopback import LoopbackServer
from tests.support.waiting import until


async def hello(_scope: Scope, receive: Receive, send: Send) -> None:
    message: Message = await receive()
    body = message.get("body", b"") or b"hello"
    length = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


def get(url: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def test_the_first_caller_is_answered() -> None:
    server = LoopbackServer(lambda: hello)
    try:
        assert get(server.url) == (200, b"hello")
    finally:
        server.close()


def test_the_application_is_made_once_and_only_when_somebody_connects() -> None:
    made: list[str] = []

    def make_app() -> ASGIApp:
        made.append(threading.current_thread().name)
        return hello

    server = LoopbackServer(make_app)
    try:
        assert (made, server.was_used) == ([], False)
        get(server.url)
        get(server.url)
        assert len(made) == 1
        assert made != [threading.current_thread().name]
        assert server.was_used
    finally:
        server.close()


def test_a_run_without_callers_pays_for_no_server() -> None:
    code = (
        "import sys; from flowrun.server.loopback import LoopbackServer\n"
        "server = LoopbackServer(lambda: None); server.close()\n"
        "print(sorted({'uvicorn', 'asyncio', 'h11', 'starlette', 'json'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_nobody_can_connect_after_a_close_without_callers() -> None:
    server = LoopbackServer(lambda: hello)
    server.close()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address(server.url)):
        pass


def test_a_request_after_close_is_told_that_the_run_is_over() -> None:
    server = LoopbackServer(lambda: hello)
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
        server.close()
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 410
        assert json.loads(response.read()) == {
            "error_code": "INVALID_STATE",
            "message": "The run is over; its tracking server takes no more requests.",
        }
    finally:
        connection.close()


def test_close_waits_for_the_request_in_flight() -> None:
    is_in, may_go = threading.Event(), threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        is_in.set()
        while not may_go.is_set():
            await asyncio.sleep(0)
        await hello(scope, receive, send)

    server = LoopbackServer(lambda: slow)
    answers: list[tuple[int, bytes]] = []
    caller = threading.Thread(target=lambda: answers.append(get(server.url)))
    caller.start()
    assert is_in.wait(10)
    closer = threading.Thread(target=server.close)
    closer.start()
    assert answers == []
    may_go.set()
    closer.join(10)
    caller.join(10)
    assert answers == [(200, b"hello")]


def test_the_port_is_free_again_soon_after_close() -> None:
    server = LoopbackServer(lambda: hello)
    get(server.url)
    server.close()

    def is_free() -> bool:
        with socket.socket() as other:
            try:
                other.connect(address(server.url))
            except ConnectionRefusedError:
                return True
        return False

    until(is_free, what="the port")
