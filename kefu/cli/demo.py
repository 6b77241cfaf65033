"""Start everything with the demo shop: trains if there is no model, then serves the chat page (or --terminal)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kefu.errors import KefuError, ModelError

if TYPE_CHECKING:
    from kefu.processes import Process

TRAINING_TAKES = "5 to 10 minutes on two CPU cores, faster on more or with a GPU"
START_SECONDS = 300.0
WARM_UP_SECONDS = 120.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def command(
    port: Annotated[int, typer.Option(help="Port of the chat page and the REST channel.")] = 5005,
    actions_port: Annotated[int, typer.Option(help="Port of the action server, on this machine only.")] = 5055,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    model: Annotated[Path, typer.Option(help="A trained model or a folder of them.")] = Path("models"),
    terminal: Annotated[bool, typer.Option(help="Chat in the terminal through `rasa shell`.")] = False,
    stop: Annotated[bool, typer.Option(help="Stop a demo that runs in another terminal.")] = False,
) -> None:
    """Start everything with the demo shop: trains if there is no model, then serves the chat page (or --terminal)."""
    from kefu.settings import settings

    record = settings().state_dir / "demo.pid"
    if stop:
        _stop_other(record)
        return
    demo = Demo(port, actions_port, host, model, settings().state_dir)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        demo.prepare(terminal)
        demo.chat() if terminal else demo.serve()
    except KeyboardInterrupt:
        typer.echo("\nStopping.")
    finally:
        demo.stop()


class Demo:
    """The two servers of the assistant, from nothing to a warm chat page."""

    def __init__(self, port: int, actions_port: int, host: str, model: Path, state: Path) -> None:
        self.port, self.actions_port, self.host, self.model, self.state = port, actions_port, host, model, state
        self.started = time.monotonic()
        self.processes: list[Process] = []
        self.environ = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
            "RASA_TELEMETRY_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",  # what libraries deprecate among themselves would fill the logs
            **os.environ,
            "KEFU_DEMO": "1",
            "SANIC_HOST": "127.0.0.1",  # the action server's, which nobody outside needs
        }

    @property
    def url(self) -> str:
        """Where this machine reaches the assistant."""
        return f"http://localhost:{self.port}"

    def prepare(self, terminal: bool) -> None:
        """Ports, model, shop, action server."""
        from kefu.processes import check_port

        target = "chat" if terminal else "demo"
        _not_twice(self.state / "demo.pid")
        check_port(self.host, self.port, "the assistant", f"Stop that, or take another: make {target} PORT=5006")
        mend = f"Stop that, or take another: make {target} ACTIONS_PORT=5056"
        check_port("127.0.0.1", self.actions_port, "the action server", mend)
        if not self._has_model():
            self._train()
        self._say("shop", _seed())
        command = [sys.executable, "-m", "rasa_sdk", "--actions", "actions", "--port", str(self.actions_port)]
        self.actions = self._start("action server", command, "actions.log")

    def serve(self) -> None:
        """Runs the Rasa server, warms it up, and watches over both until Ctrl-C."""
        rasa = self._start("assistant", self._rasa("run", "-i", self.host, *self._api()), "rasa.log")
        self._await_actions()
        self._await(rasa, f"{self.url}/", "Mend what the log names, then start again.")
        self._check_model(rasa)
        self._say("assistant", f"port {self.port}")
        self._warm_up(rasa)
        self._announce()
        while True:
            for process in self.processes:
                if process.code is not None:
                    raise process.ended("Start again with: make demo.")
            time.sleep(1)

    def chat(self) -> None:
        """Runs `rasa shell` in the foreground."""
        self._await_actions()
        _echo("Loading the assistant for the terminal, about half a minute. /stop ends the chat.")
        # The terminal's Ctrl-C goes to the shell, which ends; we then tidy up.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            shell = subprocess.run(self._rasa("shell", "--quiet"), env=self.environ, check=False)
        finally:
            signal.signal(signal.SIGINT, before)
        if shell.returncode not in (0, -signal.SIGINT, 128 + signal.SIGINT):
            raise KefuError(f"`rasa shell` ended with code {shell.returncode}; what it said stands above.")

    def stop(self) -> None:
        """Ends what was started, the newest first; a second Ctrl-C does not cut that short."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self.processes:
            process.ask_to_end()
        for process in reversed(self.processes):
            process.stop()
        if self.processes:  # otherwise the record is another demo's
            (self.state / "demo.pid").unlink(missing_ok=True)

    def _start(self, name: str, command: list[str], log: str) -> Process:
        from kefu.processes import Process

        process = Process(name, command, self.state / "log" / log, self.environ)
        self.processes.append(process)
        pids = [os.getpid(), *(p.pid for p in self.processes)]
        (self.state / "demo.pid").write_text("\n".join(map(str, pids)))
        return process

    def _await(self, process: Process, url: str, mend: str) -> None:
        from kefu.processes import answers

        process.wait_for(lambda: answers(url), START_SECONDS, mend)

    def _await_actions(self) -> None:
        self._await(self.actions, f"http://127.0.0.1:{self.actions_port}/health", "Mend what the log names.")
        self._say("actions", f"port {self.actions_port}")

    def _rasa(self, name: str, *more: str) -> list[str]:
        endpoints = str(self._endpoints())
        model = ["--model", str(self.model), "--endpoints", endpoints, "--credentials", "credentials.yml"]
        return [sys.executable, "-m", "rasa", name, *model, "-p", str(self.port), *more]

    def _api(self) -> list[str]:
        """Rasa's own HTTP API can read and steer every conversation: to other machines only behind a token."""
        from kefu.settings import settings

        token = settings().rasa_token
        if token:
            return ["--enable-api", "--cors", "", "--auth-token", token]
        return ["--enable-api", "--cors", ""] if self.host in _LOOPBACK else ["--cors", ""]

    def _endpoints(self) -> Path:
        """endpoints.yml, or a copy of it that names another port of the action server."""
        import yaml

        path = Path("endpoints.yml")
        if self.actions_port == 5055:
            return path
        endpoints = yaml.safe_load(path.read_text(encoding="utf-8"))
        endpoints["action_endpoint"]["url"] = f"http://localhost:{self.actions_port}/webhook"
        copy = self.state / "endpoints.yml"
        copy.write_text(yaml.safe_dump(endpoints, allow_unicode=True), encoding="utf-8")
        return copy

    def _has_model(self) -> bool:
        return self.model.is_file() or any(self.model.glob("*.tar.gz"))

    def _train(self) -> None:
        from kefu.processes import Progress

        if self.model != Path("models"):
            raise KefuError(f"Option '--model' has value '{self.model}', where there is no model (*.tar.gz).")
        _echo(f"No model in {self.model}/ yet, so one is trained now: {TRAINING_TAKES}.")
        # Validating, Rasa reads all data a second time. The tests have done it, and `rasa train` by hand still does.
        command = [sys.executable, "-m", "rasa", "train", "--skip-validation"]
        training = self._start("training", command, "train.log")
        progress = Progress(training)
        while training.code is None:
            progress.show()
            time.sleep(1)
        progress.show()
        progress.end()
        if training.code != 0 or not self._has_model():
            raise ModelError(f"{training.ended('Mend what the log names, then start again.')}")
        self.processes.remove(training)
        self._say("training", "done")

    def _check_model(self, rasa: Process) -> None:
        """Rasa goes on without an assistant where it cannot load the model."""
        lines = rasa.log.read_text(encoding="utf-8", errors="replace").splitlines()
        broken = next((line for line in lines if "Could not load model" in line), None)
        if broken:
            cause = broken.partition("Could not load model due to ")[2].rstrip(".")
            raise ModelError(f"Rasa cannot load the model in '{self.model}': {cause}. Train it anew: make train")

    def _warm_up(self, rasa: Process) -> None:
        """The first answer loads what is loaded lazily, so the customer's own first answer is quick."""
        answer: list[str] = []

        def answered() -> bool:
            answer[:] = [_first_answer(self.url)]
            return bool(answer[0])

        mend = f"It answers a greeting with an apology at best; {self.actions.log} may say why, too."
        rasa.wait_for(answered, WARM_UP_SECONDS, mend, pause=2)
        self._say("answer", answer[0])

    def _announce(self) -> None:
        _echo(f"\n  Chat page   {self.url}/chat   ready after {self._elapsed()}")
        if self.host not in _LOOPBACK:
            _echo(f"              http://<address of this machine>:{self.port}/chat from other machines")
            if "--enable-api" not in self._api():
                _echo("              Rasa's HTTP API stays off: set KEFU_RASA_TOKEN to open it behind a token")
        _echo(f"  Logs        {self.state / 'log'}/rasa.log, actions.log")
        _echo("  Stop        Ctrl-C, or `make stop` in another terminal\n")

    def _say(self, what: str, words: str) -> None:
        _echo(f"  {what:<11} {words}  ({self._elapsed()})")

    def _elapsed(self) -> str:
        seconds = round(time.monotonic() - self.started)
        return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _first_answer(url: str) -> str:
    """The assistant's answer to a greeting; "" where there was none, or only the channel's apology."""
    import httpx

    from kefu.settings import PROBE

    body: dict[str, Any] = {"sender": f"{PROBE}{uuid.uuid4().hex[:8]}", "message": "你好"}
    try:
        answer = httpx.post(f"{url}/webhooks/rest/webhook", json=body, timeout=WARM_UP_SECONDS, trust_env=False)
        items = answer.json()
    except (httpx.HTTPError, ValueError):
        return ""
    said = [item["text"] for item in items if item.get("text") and item["metadata"].get("source") != "fallback"]
    return str(said[0]) if said else ""


def _seed() -> str:
    """Fills the demo shop, anew where its orders are dated relative to another day."""
    from kefu.settings import settings
    from kefu.shop import Shop, now, seed, seeded_on

    shop = Shop(settings().database).create_all()
    with shop.session() as session:
        day = seeded_on(session)
    counts = seed(shop, fresh=day not in (None, f"{now():%Y-%m-%d}"))
    shop.close()
    return f"{counts['products']} products, {counts['customers']} customers, {counts['orders']} orders"


def _not_twice(record: Path) -> None:
    import psutil  # type: ignore[import-untyped]

    pid = int(record.read_text().split()[0]) if record.is_file() else 0
    if pid and psutil.pid_exists(pid) and "kefu" in " ".join(psutil.Process(pid).cmdline()):
        raise KefuError(f"A demo is running already (process {pid}). Stop it first: make stop")


def _stop_other(record: Path) -> None:
    from kefu.processes import stop_recorded

    stopped = stop_recorded(record)
    _echo(f"Stopped {len(stopped)} processes." if stopped else "No demo is running.")


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _echo(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()
