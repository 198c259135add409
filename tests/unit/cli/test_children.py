"""How the processes of the local stack are begun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from services.cli.children import execute, fork

TELL = "import os; print(os.sched_getscheduler(0))"


@pytest.mark.parametrize("interrupts", [True, False])
def test_a_program_interrupts_others_or_not(tmp_path: Path, interrupts: bool):
    log = tmp_path / "log"

    started = fork(log, {}, execute([sys.executable, "-c", TELL], interrupts=interrupts))
    _, status = os.waitpid(started.pid, 0)
    os.close(started.ready_fd)

    assert status == 0
    assert int(log.read_text()) == (os.sched_getscheduler(0) if interrupts else os.SCHED_BATCH)
