"""Three NATS servers: the leader of a stream is killed under load, and nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.cluster import leader
from tests.faults.nemesis import CALLERS, Fault, Nemesis
from tests.faults.report import as_text
from tests.faults.system import system
from tests.faults.trial import seed_of_faults, try_out


def kill_leader(stream: str) -> Fault:
    async def kill(nemesis: Nemesis) -> None:
        nemesis.hits(*CALLERS)
        killed = await eventually(lambda: leader(nemesis.client, stream), "a leader")
        member = nemesis.system.servers.nats_members[killed]
        await member.kill()

        async def is_led_by_another() -> bool:
            return await leader(nemesis.client, stream) not in {None, killed}

        await eventually(is_led_by_another, "a new leader")
        await member.start()

    return kill


FAULTS = {f"leader of {stream} killed": kill_leader(stream) for stream in (subjects.RUN_REQUESTS, subjects.NODE_WORK)}


async def test_the_leader_of_a_cluster_is_killed_under_load(tmp_path: Path) -> None:
    async with system(tmp_path, replicas=3) as clustered:
        trial = await try_out(clustered, seed_of_faults(), seconds=12, rate=8, calm_s=1, faults=FAULTS)

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report
