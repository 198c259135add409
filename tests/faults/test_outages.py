"""What only the long form tries: servers that are away for minutes, and a disk of NATS that is full."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.catalogue import OUTAGES
from tests.faults.nemesis import CALLERS, Nemesis
from tests.faults.report import as_text
from tests.faults.system import System, system
from tests.faults.trial import seed_of_faults, try_out

#: Of the disk of NATS; streams may have far more, so that the disk is what ends first.
DISK_MB = 192
FULL_S = 8.0

pytestmark = pytest.mark.long


async def test_servers_that_are_away_for_minutes_break_no_promise(faulty: System) -> None:
    trial = await try_out(faulty, seed_of_faults(), seconds=1, rate=3, calm_s=20, faults=OUTAGES)

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own under this folder; skips the test, and says why, where none can be made."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount command here, so NATS gets no small disk")
    command = [mount, "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_of_nats_breaks_no_promise(tmp_path: Path) -> None:
    """Full for a while; then somebody makes room and starts NATS again, as docs/operations.md says."""
    store = tmp_path / "nats" / "store"

    async def fill(nemesis: Nemesis) -> None:
        nemesis.hits(*CALLERS)
        ballast = store / "ballast"
        _fill(ballast)
        await asyncio.sleep(FULL_S)
        assert shutil.disk_usage(store).free < 1_000_000
        ballast.unlink()
        await nemesis.system.servers.nats.stop()
        await nemesis.system.servers.nats.start()

    with small_disk(store):
        async with system(tmp_path) as started:
            faults = {"NATS disk full": fill}
            trial = await try_out(started, seed_of_faults(), seconds=2, rate=8, calm_s=4, faults=faults)

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report


def _fill(ballast: Path) -> None:
    """Until nothing more fits."""
    block = b"x" * 4096
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(block):
                pass
        except OSError:
            return
