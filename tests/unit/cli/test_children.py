"""How the processes of the local stack are begun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from services.cli.children import TIMER_SLACK_NS, execute, fork

TELL = "import os; print(os.sched_getscheduler(0), open('/proc/self/timerslack_ns').read())"


@pytest.mark.parametrize("patient", [True, False])
def test_a_program_is_patient_or_not(tmp_path: Path, patient: bool):
    log = tmp_path / "log"

    started = fork(log, {}, execute([sys.executable, "-c", TELL], patient=patient))
    _, status = os.waitpid(started.pid, 0)
    os.close(started.ready_fd)

    assert status == 0
    own = (os.sched_getscheduler(0), int(Path("/proc/self/timerslack_ns").read_text()))
    policy, slack_ns = map(int, log.read_text().split())
    assert (policy, slack_ns) == ((os.SCHED_BATCH, TIMER_SLACK_NS) if patient else own)
