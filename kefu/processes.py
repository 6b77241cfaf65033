"""Servers as child processes: started into a log file, waited for until they answer, stopped together."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from kefu.errors import KefuError

STOP_SECONDS = 10.0
_POLL_SECONDS = 0.5


class Process:
    """One child in a session of its own, so that Ctrl-C reaches it through us alone.

    Attributes:
        name: what a person calls it.
        log: the file its output goes to.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            self._child = subprocess.Popen(
                list(command),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll()

    def tail(self, lines: int = 12) -> str:
        """The last lines of the log that hold anything."""
        words = self.log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
        return "\n".join([line for line in words if line.strip()][-lines:])

    def wait_for(self, ready: Callable[[], bool], seconds: float, mend: str, pause: float = _POLL_SECONDS) -> None:
        """Returns once ``ready()``, asked every ``pause`` seconds.

        Raises:
            KefuError: the process ended before, or ``seconds`` went by. ``mend`` says what to do.
        """
        end = time.monotonic() + seconds
        while not ready():
            if self.code is not None:
                raise self.ended(mend)
            if time.monotonic() > end:
                raise KefuError(f"The {self.name} did not get ready in {seconds:.0f} s. {mend} Its log: {self.log}")
            time.sleep(pause)

    def ended(self, mend: str) -> KefuError:
        """The error for a process that stopped by itself: its last lines and the mend."""
        return KefuError(f"The {self.name} {self._end()}. {mend} The end of {self.log}:\n{self.tail()}")

    def _end(self) -> str:
        code = self.code or 0
        if code >= 0:
            return f"stopped by itself (exit code {code})"
        name = signal.Signals(-code).name
        memory = "; the machine may have run out of memory" if name == "SIGKILL" else ""
        return f"was ended from outside ({name}{memory})"

    def ask_to_end(self) -> None:
        """Asks it and its children to end, and does not wait."""
        if self.code is None:
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Asks it and its children to end; after ten seconds ends them."""
        self.ask_to_end()
        if self.code is None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._child.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


class Progress:
    """A process's newest log line with the time so far: rewritten in a terminal, printed once elsewhere."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._started = time.monotonic()
        self._last = ""

    def show(self) -> None:
        """Shows where the process is."""
        line = self._process.tail(1).strip()
        if sys.stdout.isatty():
            seconds = round(time.monotonic() - self._started)
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K  {seconds // 60:02}:{seconds % 60:02}  {line}"[: width + 4], end="", flush=True)
        elif line != self._last:
            print(f"  {line}", flush=True)
        self._last = line

    def end(self) -> None:
        """Clears the line."""
        if sys.stdout.isatty():
            print("\r\x1b[K", end="", flush=True)


def answers(url: str) -> bool:
    """Whether a GET of ``url`` succeeds."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def check_port(host: str, port: int, what_for: str, mend: str) -> None:
    """Returns where a server can listen on the port.

    Raises:
        KefuError: it is taken (by whom, where that can be seen) or not allowed.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connections are only fading out counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise KefuError(f"Port {port} ({what_for}) needs more rights than you have: {mend}") from None
        except OSError as error:
            raise KefuError(
                f"Port {port} ({what_for}) cannot be used on {host}: {_owner(port) or error}. {mend}"
            ) from None


def _owner(port: int) -> str:
    import psutil  # type: ignore[import-untyped]

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()}) listens there"
    return ""


def stop_recorded(record: Path) -> list[int]:
    """Stops the processes whose ids stand in ``record``, first to last, and removes it; gives the ids stopped.

    An id that meanwhile belongs to some other program is left alone.
    """
    import psutil

    stopped = []
    for pid in map(int, record.read_text().split()) if record.is_file() else ():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if any(word in " ".join(process.cmdline()) for word in ("kefu", "rasa")):
                process.terminate()
                stopped.append(pid)
                end = time.monotonic() + STOP_SECONDS + 5
                while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
                    time.sleep(0.1)
    record.unlink(missing_ok=True)
    return stopped
