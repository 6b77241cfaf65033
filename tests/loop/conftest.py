"""A small shop of its own: a tenth of the intents, real models, a Rasa server and an action server on free ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]
INTENTS = ("track_delivery", "request_refund", "request_invoice", "ask_stock", "greet", "give_feedback")
# The whole model has more to learn; six intents are told apart after few passes.
CLASSIFIER = {"epochs": 4, "dialogues": []}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _shrink(project: Path) -> None:
    data = project / "data"
    (data / "nlu").mkdir(parents=True)
    for intent in INTENTS:
        shutil.copy(ROOT / "data" / "nlu" / f"{intent}.yml", data / "nlu")
    for folder in ("rules", "shop", "knowledge"):
        shutil.copytree(ROOT / "data" / folder, data / folder)
    (data / "dialogues").mkdir()
    for scene in ("logistics", "invoice", "stock", "feedback"):
        shutil.copy(ROOT / "data" / "dialogues" / f"{scene}.yml", data / "dialogues")
    shutil.copy(ROOT / "data" / "strategy_rules.yml", data)
    (data / "heldout").mkdir()
    rows = (ROOT / "data" / "heldout" / "nlu.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if any(f'"{intent}"' in row for intent in INTENTS)]
    (data / "heldout" / "nlu.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    strategies = (ROOT / "data" / "heldout" / "strategy.jsonl").read_text(encoding="utf-8").splitlines()
    (data / "heldout" / "strategy.jsonl").write_text("\n".join(strategies[:20]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with data, config, domain, channels and endpoints of its own."""
    folder = tmp_path_factory.mktemp("shop")
    _shrink(folder)
    for name in ("actions", "components", "console"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("domain.yml", "credentials.yml"):
        shutil.copy(ROOT / name, folder)
    config = yaml.safe_load((ROOT / "config.yml").read_text(encoding="utf-8"))
    for component in config["pipeline"]:
        if component["name"].endswith("BertIntentClassifier"):
            component.update(CLASSIFIER)
    (folder / "config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    endpoints = yaml.safe_load((ROOT / "endpoints.yml").read_text(encoding="utf-8"))
    endpoints["action_endpoint"]["url"] = f"http://127.0.0.1:{free_port()}/webhook"
    (folder / "endpoints.yml").write_text(yaml.safe_dump(endpoints), encoding="utf-8")
    (folder / "var").mkdir()
    return folder


@pytest.fixture(scope="session")
def run(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of the environment in the project folder and expects it to end well."""
    environ = _environ(project)

    def call(*command: str, **extra: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=project, env={**environ, **extra}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    return call


def _environ(project: Path) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("KEFU_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
    return {**own, "PATH": path, "KEFU_GENERATOR": "none", "PYTHONPATH": str(project), "SANIC_WORKERS": "1"}


@pytest.fixture(scope="session")
def servers(project: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> Iterator[str]:
    """The Rasa server's address, once it answers with the trained model."""
    run(sys.executable, "-m", "rasa", "train", "--fixed-model-name", "first")
    action_url = yaml.safe_load((project / "endpoints.yml").read_text())["action_endpoint"]["url"]
    port, logs = free_port(), project / "var"
    commands = {
        "actions": ["run", "actions", "--port", action_url.split(":")[2].split("/")[0]],
        "rasa": ["run", "--enable-api", "--port", str(port), "--interface", "127.0.0.1"],
    }
    started = []
    for name, arguments in commands.items():
        command = [sys.executable, "-m", "rasa", *arguments]
        with (logs / f"{name}.log").open("w") as log:
            started.append(subprocess.Popen(command, cwd=project, env=_environ(project), stdout=log, stderr=log))
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(180):
            assert all(p.poll() is None for p in started), (logs / "rasa.log").read_text()[-3000:]
            try:
                if httpx.get(f"{url}/status", timeout=5).json().get("model_file"):
                    break
            except (httpx.HTTPError, ValueError):
                time.sleep(1)
        yield url
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=30)
