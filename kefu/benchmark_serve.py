"""The running assistant against stock Rasa: start-up, memory, latency, throughput, over the REST channel, in one run.

Stock Rasa is what `rasa init` makes: DIET for intents, TED and rules for dialogue, canned answers, no action server.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kefu.errors import KefuError
from kefu.evaluation.metrics import percentile
from kefu.processes import Process

CLIENTS = (1, 8, 32)
SECONDS = 300.0  # until the first answer
TALK = 5  # messages of one customer, before another takes her place
FROM_STOCK = ("hello", "i am sad", "no", "are you a bot", "i feel great", "bye", "yes", "good morning")
_TIMEOUT = 60.0
_ENVIRON = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "RASA_TELEMETRY_ENABLED": "false",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Load:
    """What some clients met who write at the same time.

    Attributes:
        latencies: seconds of each answered message.
        failed: messages without an answer of the assistant's own.
        seconds: from the first message to the last answer.
    """

    latencies: Sequence[float]
    failed: int
    seconds: float

    def figures(self) -> dict[str, float]:
        """Milliseconds and messages a second."""
        return {
            "p50_ms": round(1000 * percentile(self.latencies, 0.5), 1),
            "p95_ms": round(1000 * percentile(self.latencies, 0.95), 1),
            "per_second": round(len(self.latencies) / self.seconds, 2),
            "failed": self.failed,
        }


async def load(url: str, texts: Sequence[str], clients: int, count: int, name: str) -> Load:
    """Sends ``count`` messages to the REST webhook at ``url``, ``clients`` at a time.

    Args:
        texts: taken in turn.
        name: of the senders, who begin so.
    """
    import httpx

    pending = iter(range(count))
    latencies: list[float] = []
    failed = 0

    async def client(number: int, http: httpx.AsyncClient) -> None:
        nonlocal failed
        for sent, index in enumerate(pending):
            body = {"sender": f"{name}-{clients}-{number}-{sent // TALK}", "message": texts[index % len(texts)]}
            began = time.perf_counter()
            try:
                answer = await http.post(f"{url}/webhooks/rest/webhook", json=body)
                items = answer.json() if answer.status_code == 200 else []
            except (httpx.HTTPError, ValueError):
                items = []
            if any(i.get("text") and (i.get("metadata") or {}).get("source") != "fallback" for i in items):
                latencies.append(time.perf_counter() - began)
            else:
                failed += 1

    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as http:
        await asyncio.gather(*(client(n, http) for n in range(clients)))
    return Load(latencies, failed, time.perf_counter() - began)


@dataclass
class Assistant:
    """Servers to be measured.

    Attributes:
        name: what a person calls it.
        url: of the Rasa server.
        commands: (name, command) of each server.
        folder: where they run.
        greeting: a first message, to know that it is ready.
    """

    name: str
    url: str
    commands: Sequence[tuple[str, list[str]]]
    folder: Path
    logs: Path
    greeting: str
    environ: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def start(self) -> float:
        """Starts the servers; gives the seconds until a greeting was answered.

        Raises:
            KefuError: a server ended, or none answered in time.
        """
        began = time.monotonic()
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            for name, command in self.commands:
                log = self.logs / f"{name.replace(' ', '-')}.log"
                self.processes.append(Process(name, command, log, {**os.environ, **_ENVIRON, **self.environ}))
        finally:
            os.chdir(here)
        self.processes[-1].wait_for(self._greeted, SECONDS, "Mend what the log names.", pause=0.25)
        return time.monotonic() - began

    def _greeted(self) -> bool:
        greeted = asyncio.run(load(self.url, [self.greeting], 1, 1, f"warm-up-{time.monotonic_ns()}"))
        return not greeted.failed

    def memory(self) -> float:
        """Resident megabytes of the servers and their children."""
        import psutil  # type: ignore[import-untyped]

        total = 0
        for process in self.processes:
            parent = psutil.Process(process.pid)
            total += sum(p.memory_info().rss for p in (parent, *parent.children(recursive=True)))
        return total / 2**20

    def stop(self) -> None:
        """Ends the servers."""
        for process in reversed(self.processes):
            process.stop()


def measured(assistant: Assistant, texts: Sequence[str], clients: Sequence[int], messages: int) -> dict[str, Any]:
    """Starts an assistant, measures and stops it.

    Args:
        messages: of one client; more clients send more, but no more than eight times as many.
    """
    try:
        started = assistant.start()
        asyncio.run(load(assistant.url, texts, 1, min(10, messages), "warm-up"))
        figures: dict[str, Any] = {"start_seconds": round(started, 1)}
        for count in clients:
            done = asyncio.run(load(assistant.url, texts, count, messages * min(count, 8), "warm-up-load"))
            if not done.latencies:
                raise KefuError(f"{assistant.name} answered none of {done.failed} messages. Its logs: {assistant.logs}")
            figures[f"clients_{count}"] = done.figures()
        figures["memory_mb"] = round(assistant.memory())
        return figures
    finally:
        assistant.stop()


def ratios(ours: dict[str, Any], stock: dict[str, Any]) -> dict[str, float]:
    """Each of our figures over stock Rasa's."""
    found = {}
    for name, value in ours.items():
        if isinstance(value, dict):
            found.update({f"{name}.{n}": round(v / stock[name][n], 3) for n, v in value.items() if stock[name][n]})
        elif stock[name]:
            found[name] = round(value / stock[name], 3)
    return found


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kefu_assistant(project: Path, model: Path, scratch: Path) -> Assistant:
    """This project's assistant, with databases of its own in ``scratch``."""
    import yaml

    from kefu.settings import settings
    from kefu.shop import Shop, seed

    port, actions = free_port(), free_port()
    database = f"sqlite:///{scratch / 'kefu.db'}"
    shop = Shop(database).create_all()
    seed(shop, products=settings().data_dir / "shop" / "products.yml")
    shop.close()
    endpoints = yaml.safe_load((project / "endpoints.yml").read_text(encoding="utf-8"))
    endpoints["action_endpoint"]["url"] = f"http://localhost:{actions}/webhook"
    endpoints["tracker_store"] = {"type": "SQL", "dialect": "sqlite", "db": str(scratch / "tracker.db")}
    (scratch / "endpoints.yml").write_text(yaml.safe_dump(endpoints), encoding="utf-8")
    run = [sys.executable, "-m", "rasa", "run", "--model", str(model.resolve()), "-p", str(port), "-i", "127.0.0.1"]
    run += ["--endpoints", str(scratch / "endpoints.yml"), "--credentials", "credentials.yml"]
    commands = [
        ("action server", [sys.executable, "-m", "rasa_sdk", "--actions", "actions", "--port", str(actions)]),
        ("kefu", run),
    ]
    environ = {"KEFU_DATABASE_URL": database, "KEFU_STATE_DIR": str(scratch), "SANIC_HOST": "127.0.0.1"}
    return Assistant("kefu", f"http://127.0.0.1:{port}", commands, project, scratch, "你好", environ)


def stock_assistant(scratch: Path) -> Assistant:
    """What `rasa init` makes and trains in ``scratch``.

    Raises:
        KefuError: `rasa init` failed.
    """
    folder = scratch / "stock"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "rasa", "init", "--no-prompt", "--init-dir", str(folder)]
    folder.mkdir(parents=True)
    made = subprocess.run(
        command, env={**os.environ, **_ENVIRON}, capture_output=True, text=True, check=False, cwd=scratch
    )
    if made.returncode or not any(folder.glob("models/*.tar.gz")):
        raise KefuError(f"`rasa init` made no assistant. What it said last: {made.stderr.strip()[-300:]}")
    port = free_port()
    run = [sys.executable, "-m", "rasa", "run", "-p", str(port), "-i", "127.0.0.1"]
    return Assistant("stock Rasa", f"http://127.0.0.1:{port}", [("stock-rasa", run)], folder, scratch, "hello")


def customers_texts(file: Path) -> list[str]:
    """The texts of a .jsonl file's rows."""
    return [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
