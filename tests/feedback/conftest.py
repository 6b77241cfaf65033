"""A small tracker store, a review store and a project folder with data, config and a fake `rasa train`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kefu import settings as settings_module
from kefu.feedback import Masker, ReviewStore
from tests.tracker_store import TrackerStore

MASKER = Masker(b"a salt of the tests")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with settings of its own, hand-written data and the files that `rasa train` wants."""
    monkeypatch.chdir(tmp_path)
    for name in ("KEFU_DATABASE_URL", "KEFU_DATA_DIR", "KEFU_STATE_DIR", "KEFU_RASA_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEFU_RASA_URL", "http://127.0.0.1:9")  # nobody listens on the discard port
    settings_module.settings.cache_clear()
    data = tmp_path / "data"
    for folder in ("nlu", "dialogues", "knowledge", "shop", "heldout"):
        (data / folder).mkdir(parents=True)
    (data / "nlu" / "greet.yml").write_text(
        'version: "3.1"\nnlu:\n'
        "- intent: greet\n  examples:\n  - text: |\n      亲在吗\n    metadata: {emotion: neutral}\n"
        "- intent: urge_delivery\n  examples:\n  - text: |\n      什么时候能发出来呀\n"
        "    metadata: {emotion: anxious}\n",
        encoding="utf-8",
    )
    (data / "knowledge" / "refunds.yml").write_text(
        "- id: refund_times\n  title: 到账\n  intents: [ask_refund_status]\n  text: 信用卡3到5个工作日到账。\n",
        encoding="utf-8",
    )
    rows = [{"text": "钱退到哪张卡了呀", "intent": "ask_refund_status", "emotion": "neutral", "context": "您说。"}]
    (data / "heldout" / "nlu.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    row = {"context": [["user", "包裹卡在半路不动弹了"]], "strategy": ["manage_emotion", "verify_identity"]}
    (data / "heldout" / "strategy.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "domain.yml").write_text("intents: [greet]\n", encoding="utf-8")
    (tmp_path / "config.yml").write_text("dialogues: [data/dialogues, var/feedback/dialogues]\n", encoding="utf-8")
    yield tmp_path
    settings_module.settings.cache_clear()


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerStore]:
    """An empty tracker store."""
    (tmp_path / "var").mkdir(exist_ok=True)
    store = TrackerStore(tmp_path / "var" / "tracker.db")
    yield store
    store.engine.dispose()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReviewStore]:
    """An empty review store, where the settings of ``project`` expect it."""
    opened = ReviewStore(f"sqlite:///{tmp_path / 'var' / 'kefu.db'}")
    yield opened
    opened.close()


class FakeModel:
    """Answers from tables: {text: (intent, emotion)} and {last message: [strategies]}."""

    def __init__(self, labels: dict[str, tuple[str | None, str | None]], strategies: dict[str, list[str]]) -> None:
        self.labels, self.ranked = labels, strategies
        self.asked: list[tuple[str, str | None]] = []

    def parse(self, text: str, context: str | None = None, before: tuple = ()) -> SimpleNamespace:
        """Greets by default."""
        self.asked.append((text, context))
        intent, emotion = self.labels.get(text, ("greet", "neutral"))
        return SimpleNamespace(intent=intent, emotion=emotion, latency_ms=2.0)

    def strategies(self, context: Any, facts: Any = None) -> list[tuple[str, float]]:
        """Informs by default."""
        return [(name, 0.5) for name in self.ranked.get(context[-1][1], ["inform"])]


class RasaServer:
    """Rasa's HTTP API as far as a switch of models uses it."""

    def __init__(self) -> None:
        self.model: str | None = "old.tar.gz"
        self.puts: list[tuple[str, dict[str, Any]]] = []
        self.answer: tuple[int, Any] = (204, None)
        self.obeys = True
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.puts.append((self.path, body))
                if fake.obeys and fake.answer[0] == 204:
                    fake.model = Path(body["model_file"]).name
                self._send(*fake.answer)

            def do_GET(self) -> None:
                self._send(200, {"model_file": fake.model, "model_id": "x", "num_active_training_jobs": 0})

            def _send(self, status: int, document: Any) -> None:
                payload = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: Any) -> None:
                """Keeps the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def rasa_server() -> Iterator[RasaServer]:
    """A running server."""
    server = RasaServer()
    yield server
    server.close()


@pytest.fixture
def masker() -> Masker:
    """A masker with a fixed salt."""
    return MASKER


@pytest.fixture
def fake_model() -> type[FakeModel]:
    """The class of the fake, to be filled by the test."""
    return FakeModel
