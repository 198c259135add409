"""Forks the processes of the local stack: servers by exec, services and set-up steps in place.

Forking from one process that has imported everything lets all services share that memory and start at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_TIMERSLACK = 29

#: How late the timers of a patient program may be. While it has work, the runtime of Go sleeps 20 us at a time.
TIMER_SLACK_NS = 4_000_000

_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Started:
    """A child, and the pipe on which it says that it is ready (closed without a word when it ends first)."""

    pid: int
    ready_fd: int


def fork(log: Path, environment: Mapping[str, str], body: Callable[[Callable[[], None]], None]) -> Started:
    """Run `body(on_ready)` in a child whose output goes to `log`; it ends when this process does."""
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Started(pid, reading)
    os.close(reading)
    status = 1
    try:
        _become_child(log, environment, parent)
        body(lambda: _say_ready(writing))
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(status)


def _say_ready(descriptor: int) -> None:
    os.write(descriptor, b"1")


def _become_child(log: Path, environment: Mapping[str, str], parent: int) -> None:
    # Ctrl-C in the terminal is for the supervisor alone; it stops its children in order.
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(environment)


def execute(command: list[str], *, patient: bool = False) -> Callable[[Callable[[], None]], None]:
    """A body that becomes another program; it is ready when its port answers, which its owner finds out.

    A patient one waits, when it is woken while all processors are busy, for who is at work there, and lets its
    timers be late by up to `TIMER_SLACK_NS`.
    """

    def body(on_ready: Callable[[], None]) -> None:
        if patient:
            # A sandbox may refuse either; the program is none the worse.
            _libc.prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS)
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.execv(command[0], command)  # noqa: S606  # becoming the program is the point

    return body
