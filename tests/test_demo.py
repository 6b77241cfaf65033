"""`kefu demo` from end to end, with stand-ins for Rasa's two servers that start in a moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from kefu.cli.demo import Demo
from kefu.errors import KefuError
from kefu.processes import Process, check_port, stop_recorded
from kefu.settings import settings

ROOT = Path(__file__).parents[1]
# `python -m rasa train|run|shell` and `python -m rasa_sdk`: they write down how they were called, and serve JSON.
STAND_IN = """
import http.server, json, os, pathlib, sys
name = pathlib.Path(__file__).parent.name
with open("calls.jsonl", "a") as calls:
    print(json.dumps([name, *sys.argv[1:], os.environ.get("KEFU_DEMO")]), file=calls)
if sys.argv[1] == "train":
    print("Epoch 1 of 1", flush=True)
    pathlib.Path("models").mkdir(exist_ok=True)
    pathlib.Path("models/one.tar.gz").write_text("")
    sys.exit(int(os.environ.get("TRAIN_CODE", 0)))
if sys.argv[1] == "shell":
    sys.exit(0)
if os.environ.get("DIES") == name:
    sys.exit("no such component: components.tokenizer")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self, body=b"{}"):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        said = [{"text": "\\u60a8\\u597d", "metadata": {"source": "template"}}]
        self.do_GET(json.dumps(said).encode())
    def log_message(self, *_): pass
flag = "--port" if "--port" in sys.argv else "-p"
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index(flag) + 1])), Handler).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """One `kefu demo` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.actions_port = free_port(), free_port()
        self.output = folder / "output.txt"
        self.child: subprocess.Popen[bytes] | None = None
        for name in ("rasa", "rasa_sdk"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").touch()
            (folder / name / "__main__.py").write_text(STAND_IN)
        for name in ("endpoints.yml", "credentials.yml"):
            shutil.copy(ROOT / name, folder)

    def command(self, *options: str) -> list[str]:
        ports = ["--port", str(self.port), "--actions-port", str(self.actions_port)]
        return [sys.executable, "-c", "from kefu.cli import main; main()", "demo", *ports, *options]

    def environ(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KEFU_")}
        return {**kept, "PYTHONPATH": str(ROOT), "KEFU_DATA_DIR": str(ROOT / "data"), **more}

    def start(self, *options: str, **more: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            self.child = subprocess.Popen(
                self.command(*options), cwd=self.folder, env=self.environ(**more), stdout=output, stderr=output
            )
        return self.child

    def wait_for(self, words: str) -> str:
        end = time.monotonic() + 60
        while words not in (said := self.output.read_text()):
            assert time.monotonic() < end and self.child and self.child.poll() is None, said
            time.sleep(0.1)
        return said

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    def finish(self) -> tuple[int, str]:
        assert self.child is not None
        return self.child.wait(60), self.output.read_text()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    if running.child and running.child.poll() is None:
        running.child.terminate()
        running.child.wait(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_trains_serves_and_stops_both_servers(demo: Running, number: signal.Signals) -> None:
    child = demo.start()
    said = demo.wait_for("Stop  ")
    assert "No model in models/ yet" in said
    assert "Epoch 1 of 1" in said
    assert f"http://localhost:{demo.port}/chat   ready after" in said
    assert "您好" in said
    # the two servers start side by side
    calls = [call[0:2] for call in demo.calls()]
    assert calls[0] == ["rasa", "train"] and sorted(calls[1:]) == [["rasa", "run"], ["rasa_sdk", "--actions"]]
    assert {call[-1] for call in demo.calls()} == {"1"}  # KEFU_DEMO
    child.send_signal(number)
    assert demo.finish()[0] == 0
    for port in (demo.port, demo.actions_port):
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}", trust_env=False)
    assert not (demo.folder / "var" / "demo.pid").exists()


def test_a_model_that_is_there_is_not_trained_again(demo: Running) -> None:
    (demo.folder / "models").mkdir()
    (demo.folder / "models" / "mine.tar.gz").touch()
    demo.start("--terminal")
    code, said = demo.finish()
    assert code == 0, said
    calls = demo.calls()
    assert [call[:2] for call in calls] == [["rasa_sdk", "--actions"], ["rasa", "shell"]]
    endpoints = calls[1][calls[1].index("--endpoints") + 1]
    address = yaml.safe_load((demo.folder / endpoints).read_text())["action_endpoint"]["url"]
    assert address == f"http://localhost:{demo.actions_port}/webhook"


def test_a_training_that_fails_shows_the_end_of_its_log(demo: Running) -> None:
    demo.start(TRAIN_CODE="3")
    code, said = demo.finish()
    assert code == 1
    assert "The training stopped by itself (exit code 3)" in said
    assert said.rstrip().endswith("Epoch 1 of 1")


@pytest.mark.parametrize(("dies", "name"), [("rasa_sdk", "action server"), ("rasa", "assistant")])
def test_a_server_that_dies_is_named_with_its_last_words(demo: Running, dies: str, name: str) -> None:
    demo.start(DIES=dies)
    code, said = demo.finish()
    assert code == 1
    assert f"kefu: The {name} stopped by itself (exit code 1)." in said
    assert "no such component: components.tokenizer" in said
    assert "Traceback" not in said


def test_a_server_that_dies_later_ends_the_demo(demo: Running) -> None:
    demo.start()
    demo.wait_for("Stop  ")
    pids = (demo.folder / "var" / "demo.pid").read_text().split()
    os.kill(int(pids[-1]), signal.SIGKILL)
    code, said = demo.finish()
    assert code == 1
    assert "The assistant was ended from outside (SIGKILL" in said


def test_a_taken_port_is_one_line_with_the_mend(demo: Running) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", demo.port))
        taken.listen()
        demo.start()
        code, said = demo.finish()
    assert code == 1
    [line] = said.splitlines()
    assert f"Port {demo.port} (the assistant)" in line
    assert f"process {os.getpid()} " in line
    assert "make demo PORT=5006" in line


def test_a_second_demo_is_refused_and_make_stop_ends_the_first(demo: Running) -> None:
    demo.start()
    demo.wait_for("Stop  ")
    second = subprocess.run(demo.command(), cwd=demo.folder, env=demo.environ(), capture_output=True, text=True)
    assert second.returncode == 1
    assert "make stop" in second.stderr
    stop = subprocess.run(demo.command("--stop"), cwd=demo.folder, env=demo.environ(), capture_output=True, text=True)
    assert "Stopped" in stop.stdout
    assert demo.finish()[0] == 0


@pytest.mark.parametrize(
    ("host", "token", "options"),
    [
        ("127.0.0.1", "", ["--enable-api", "--cors", ""]),
        ("0.0.0.0", "", ["--cors", ""]),
        ("0.0.0.0", "a token", ["--enable-api", "--cors", "", "--auth-token", "a token"]),
    ],
)
def test_rasas_api_is_open_to_other_machines_only_behind_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, token: str, options: list[str]
) -> None:
    monkeypatch.setenv("KEFU_RASA_TOKEN", token)
    settings.cache_clear()
    assert Demo(5005, 5055, host, Path("models"), tmp_path)._api() == options
    settings.cache_clear()


def test_stopping_takes_the_children_along(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    )
    process = Process("parent", [sys.executable, "-c", code], tmp_path / "log.txt", os.environ)
    process.wait_for(lambda: bool(process.tail()), 20, "")
    grandchild = int(process.tail())
    process.stop()
    assert process.code is not None
    for _ in range(50):
        state = Path(f"/proc/{grandchild}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the grandchild still runs")


def test_what_is_not_ready_in_time_says_so(tmp_path: Path) -> None:
    process = Process("sleeper", ["sleep", "60"], tmp_path / "log.txt", os.environ)
    try:
        with pytest.raises(KefuError, match="The sleeper did not get ready in 1 s"):
            process.wait_for(lambda: False, 0.5 + 0.1, "")
    finally:
        process.stop()


def test_a_recorded_id_that_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    record = tmp_path / "demo.pid"
    record.write_text(str(stranger.pid))
    try:
        assert stop_recorded(record) == []
        assert stranger.poll() is None
        assert not record.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_free_port_passes() -> None:
    check_port("127.0.0.1", free_port(), "the assistant", "mend")
