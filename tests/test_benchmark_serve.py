"""The load that `kefu benchmark serve` puts on an assistant, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kefu.benchmark_serve import TALK, Assistant, Load, free_port, load, measured, ratios
from kefu.errors import KefuError

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps([{"text": "hi"}]).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Rest:
    """A REST channel that keeps what it was sent and how many wrote at once."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answer: Any = [{"text": "在的", "metadata": {"source": "template"}}]
        self.status, self.pause = 200, 0.0
        self.now = self.most = 0
        lock, rest = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with lock:
                    rest.now += 1
                    rest.most = max(rest.most, rest.now)
                    rest.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                time.sleep(rest.pause)
                with lock:
                    rest.now -= 1
                self.send_response(rest.status)
                self.end_headers()
                self.wfile.write(json.dumps(rest.answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def rest() -> Iterator[Rest]:
    made = Rest()
    yield made
    made.server.shutdown()


def test_as_many_write_at_once_as_were_asked_for(rest: Rest) -> None:
    rest.pause = 0.05
    done = asyncio.run(load(rest.url, ["一", "二"], 4, 24, "who"))
    assert len(done.latencies) == len(rest.bodies) == 24 and done.failed == 0 and rest.most == 4
    assert Counter(b["message"] for b in rest.bodies) == {"一": 12, "二": 12}
    assert max(Counter(b["sender"] for b in rest.bodies).values()) <= TALK
    assert min(done.latencies) >= 0.05 and done.seconds >= 6 * 0.05


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, []), (200, []), (200, [{"text": "抱歉", "metadata": {"source": "fallback"}}]), (200, [{"image": "x"}])],
)
def test_what_the_assistant_did_not_answer_has_failed(rest: Rest, status: int, answer: Any) -> None:
    rest.status, rest.answer = status, answer
    done = asyncio.run(load(rest.url, ["一"], 2, 6, "who"))
    assert (len(done.latencies), done.failed) == (0, 6)


def test_figures_are_milliseconds_and_messages_a_second() -> None:
    figures = Load([0.1, 0.2, 0.3], 1, 2.0).figures()
    assert figures == {"p50_ms": 200.0, "p95_ms": pytest.approx(290, abs=11), "per_second": 1.5, "failed": 1}


def test_ratios_are_ours_over_theirs() -> None:
    ours = {"start_seconds": 30.0, "clients_1": {"p50_ms": 50.0, "failed": 0}}
    theirs = {"start_seconds": 20.0, "clients_1": {"p50_ms": 100.0, "failed": 0}}
    assert ratios(ours, theirs) == {"start_seconds": 1.5, "clients_1.p50_ms": 0.5}


def assistant(tmp_path: Path, code: str) -> Assistant:
    port = free_port()
    command = [sys.executable, "-c", code, str(port)]
    return Assistant("toy", f"http://127.0.0.1:{port}", [("toy", command)], tmp_path, tmp_path, "hello")


def test_an_assistant_is_started_measured_and_stopped(tmp_path: Path) -> None:
    toy = assistant(tmp_path, SERVER)
    figures = measured(toy, ["hello"], [1, 2], 5)
    assert set(figures) == {"start_seconds", "clients_1", "clients_2", "memory_mb"}
    assert figures["memory_mb"] > 5 and figures["clients_2"]["failed"] == 0
    assert all(p.code is not None for p in toy.processes)


def test_a_server_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(KefuError, match="no such model"):
        measured(assistant(tmp_path, "raise SystemExit('no such model')"), ["hello"], [1], 5)
