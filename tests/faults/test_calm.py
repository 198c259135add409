"""Where nothing goes wrong, nothing is repeated; nor where everything is stopped in order."""

from __future__ import annotations

from shared.bus.address import connect
from shared.contracts import subjects
from tests.eventually import eventually
from tests.faults.catalogue import FAULTS
from tests.faults.nemesis import Nemesis
from tests.faults.redeliveries import counting_redeliveries
from tests.faults.report import as_text
from tests.faults.system import System
from tests.faults.trial import seed_of_faults, try_out


async def test_without_faults_executions_are_attempts(faulty: System) -> None:
    client = await connect(faulty.nats_url)
    async with counting_redeliveries(client) as redelivered:
        trial = await try_out(faulty, seed_of_faults(), seconds=6, rate=6, calm_s=0, faults={})
    await client.close()

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report
    assert trial.findings.executions > 0
    assert trial.findings.extra == []
    assert redelivered.of_silence == []
    assert not redelivered.handed_back


async def test_nothing_is_delivered_again_when_everything_is_stopped_under_load(faulty: System) -> None:
    """SIGTERM of all services at once, as when a machine is shut down; the supervisor starts them again."""
    client = await connect(faulty.nats_url)

    async def stop_all(nemesis: Nemesis) -> None:
        begun = nemesis.system.ledger.requests.total()
        await eventually(lambda: nemesis.system.ledger.requests.total() > begun + 20, "work in flight")
        await FAULTS["all services stopped"](nemesis)
        await nemesis.system.all_running()

    async with counting_redeliveries(client) as redelivered:
        faults = {"all services stopped": stop_all}
        trial = await try_out(faulty, seed_of_faults(), seconds=1, rate=6, calm_s=2, faults=faults)
    await client.close()

    report = as_text(trial)
    print(report)
    assert not trial.broken(), report
    assert trial.findings.extra == []
    assert redelivered.of_silence == []
    # Work is ended. A request that cannot be started since the definition service has stopped too is handed back.
    assert set(redelivered.handed_back) <= {subjects.RUN_REQUESTS}
