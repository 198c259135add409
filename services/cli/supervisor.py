"""Starts the processes of the local stack, restarts what dies, and stops all in order."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import orjson

from services.cli.children import Started, fork
from services.cli.local.state import STATUS_FILE, is_listening, write_private
from services.cli.plan import Part

#: A process that ran for so long is restarted at once when it dies; else the wait doubles.
HEALTHY_S = 10.0
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
#: How long a service may take to end by itself.
STOP_S = 20.0
#: Parts that are stopped last, since the others need them to end well.
SERVERS = ("nats", "postgres")


class StartError(Exception):
    """A process ended before it was ready; the message names it and its log."""


class StoppedError(Exception):
    """A signal asked to stop before all was ready."""


@dataclass
class Child:
    """A part, and the process that is it now."""

    part: Part
    log: Path
    started: Started | None = None
    state: str = "starting"
    restarts: int = 0
    begun_at: float = 0.0
    wait_s: float = FIRST_WAIT_S
    restart_at: float | None = None


class Supervisor:
    """Single-threaded, without an event loop, so that it can fork at any time."""

    def __init__(self, data_dir: Path, addresses: dict[str, str], say: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._addresses = addresses
        self._say = say
        self._children: dict[str, Child] = {}
        self._is_stopping = False
        (data_dir / "logs").mkdir(parents=True, exist_ok=True)
        self._signals, wakeup = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGCHLD, _nothing)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def start(self, parts: list[Part]) -> None:
        for part in parts:
            child = Child(part, self._data_dir / "logs" / f"{part.name}.log")
            self._children[part.name] = child
            self._begin(child)
        self._tell()

    def _begin(self, child: Child) -> None:
        child.started = fork(child.log, child.part.environment, child.part.body)
        child.state = "starting"
        child.begun_at = time.monotonic()
        child.restart_at = None

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Raises StartError when a process ends first, or is not ready in time, and StoppedError."""
        deadline = time.monotonic() + timeout_s
        while waiting := [child for child in self._children.values() if child.state != "running"]:
            if self._is_stopping:
                raise StoppedError
            if time.monotonic() > deadline or any(child.restarts > 2 for child in waiting):
                child = max(waiting, key=lambda found: found.restarts)
                raise StartError(f"{child.part.name} did not start. Its log: {child.log}\n{_tail(child.log)}")
            self._turn(0.05)

    def run(self) -> None:
        """Until a signal asks to stop."""
        while not self._is_stopping:
            self._turn(None)

    def run_step(self, name: str, body: Callable[[Callable[[], None]], None], environment: dict[str, str]) -> None:
        """Run a step in a process of its own to its end; raises StartError when it fails, and StoppedError."""
        log = self._data_dir / "logs" / f"{name}.log"
        log.unlink(missing_ok=True)
        started = fork(log, environment, body)
        while True:
            pid, status = os.waitpid(started.pid, os.WNOHANG)
            if pid:
                break
            if self._is_stopping:
                # Tables and streams are made in transactions, and the examples are loaded again at the next start.
                os.kill(started.pid, signal.SIGKILL)
            self._turn(0.02)
        os.close(started.ready_fd)
        if self._is_stopping:
            raise StoppedError
        if status:
            raise StartError(f"{name} failed.\n{_tail(log)}")

    def _turn(self, timeout_s: float | None) -> None:
        """Hear who is ready, who has died, and restart who is due."""
        waiting = {
            child.started.ready_fd: child
            for child in self._children.values()
            if child.state == "starting" and child.started is not None and child.part.port is None
        }
        due = [child.restart_at for child in self._children.values() if child.restart_at is not None]
        by_port = [child for child in self._children.values() if child.state == "starting" and child.part.port]
        limits = [max(0.0, min(due) - time.monotonic())] if due else []
        limits += [timeout_s] if timeout_s is not None else []
        limits += [0.05] if by_port else []
        readable, _, _ = select.select([self._signals, *waiting], [], [], min(limits) if limits else None)
        for descriptor in readable:
            if descriptor == self._signals:
                _drain(descriptor)
            elif os.read(descriptor, 1):
                self._set_running(waiting[descriptor])
        for child in by_port:
            if child.part.port is not None and is_listening(child.part.port):
                self._set_running(child)
        self._reap()
        for child in self._children.values():
            if child.restart_at is not None and child.restart_at <= time.monotonic() and not self._is_stopping:
                self._begin(child)
                self._tell()

    def _set_running(self, child: Child) -> None:
        child.state = "running"
        self._tell()

    def _reap(self) -> None:
        """One child after another, since a step of `run_step` is not ours to take here."""
        for child in self._children.values():
            if child.started is None:
                continue
            pid, status = os.waitpid(child.started.pid, os.WNOHANG)
            if pid:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        assert child.started is not None
        os.close(child.started.ready_fd)
        child.started = None
        if self._is_stopping:
            child.state = "stopped"
            return
        now = time.monotonic()
        if now - child.begun_at > HEALTHY_S:
            child.wait_s = FIRST_WAIT_S
        child.restart_at = now + child.wait_s
        child.wait_s = min(child.wait_s * 2, LONGEST_WAIT_S)
        child.restarts += 1
        child.state = "restarting"
        self._say(f"{child.part.name} ended ({_words(status)}); restarting it. Its log: {child.log}")
        self._tell()

    def stop(self) -> None:
        """Services first, then the servers that they need; what does not end by itself is killed."""
        self._is_stopping = True
        services = [child for name, child in self._children.items() if name not in SERVERS]
        servers = [child for name, child in self._children.items() if name in SERVERS]
        self._end(services, signal.SIGTERM)
        self._end([child for child in servers if child.part.name == "nats"], signal.SIGTERM)
        # SIGINT is Postgres's fast shutdown: it ends sessions and keeps all data.
        self._end([child for child in servers if child.part.name == "postgres"], signal.SIGINT)
        self._tell()

    def _end(self, children: list[Child], number: signal.Signals) -> None:
        for child in children:
            if child.started is not None:
                os.kill(child.started.pid, number)
        deadline = time.monotonic() + STOP_S
        while any(child.started is not None for child in children) and time.monotonic() < deadline:
            self._turn(0.05)
        for child in children:
            if child.started is not None:
                os.kill(child.started.pid, signal.SIGKILL)
                os.waitpid(child.started.pid, 0)
                child.started = None
                child.state = "stopped"

    def _tell(self) -> None:
        """Write what `status` reads."""
        status = {
            **self._addresses,
            "pid": os.getpid(),
            "services": [
                {
                    "name": name,
                    "pid": child.started.pid if child.started is not None else None,
                    "state": child.state,
                    "restarts": child.restarts,
                }
                for name, child in self._children.items()
            ],
        }
        write_private(self._data_dir / STATUS_FILE, orjson.dumps(status, option=orjson.OPT_INDENT_2))


def _nothing(number: int, frame: FrameType | None) -> None:
    """The wakeup pipe is written all the same."""


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1024):
            pass
    except BlockingIOError:
        return


def _words(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
