"""Reads the database, the witness and the ledger after a trial, and counts every promise that was broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.states import AttemptOutcome, RunStatus
from tests.faults.extra import Extra
from tests.faults.load import PLAIN, Started
from tests.faults.on_messages import FORGED
from tests.faults.standstill import moment_of, now
from tests.faults.system import System

FINAL = frozenset({"completed", "failed", "cancelled", "skipped"})
#: After a cancel's answer no worker begins an attempt later than this.
CANCEL_GRACE_S = 1.0


@dataclass
class Findings:
    """Each list holds what broke a promise, in words; an empty one stands for `runs` or `attempts` trials."""

    runs: int = 0
    #: Clients that asked for a run.
    asked: int = 0
    acknowledged: int = 0
    attempts: int = 0
    executions: int = 0
    #: Executions beyond those whose outcome a worker told.
    extra: list[Extra] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed_after_end: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    too_early: list[str] = field(default_factory=list)
    begun_after_cancel: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    forged: list[str] = field(default_factory=list)
    #: Asked for once, in one message, and there twice.
    asked_once: list[str] = field(default_factory=list)
    #: Requests without an id.
    plain: int = 0
    bad_answers: list[str] = field(default_factory=list)
    keys_with_two_runs: list[str] = field(default_factory=list)
    #: Keys with which a run was asked for twice.
    keys: int = 0
    #: Seconds from asking for a cancel to its answer: the run is cancelled then.
    cancel_s: list[float] = field(default_factory=list)
    #: Executions that began after a cancel's answer, and soon enough.
    begun_in_grace: int = 0

    def broken(self) -> dict[str, list[str]]:
        names = (
            "lost", "stuck", "doubled", "changed_after_end", "unrecorded", "too_early", "begun_after_cancel", "wrong",
            "unasked", "forged", "bad_answers", "asked_once", "keys_with_two_runs",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names if getattr(self, name)}


@dataclass(frozen=True)
class Rows:
    """What is read once."""

    runs: Mapping[str, dict[str, Any]]
    nodes: Mapping[str, list[dict[str, Any]]]
    attempts: Mapping[tuple[str, str], list[dict[str, Any]]]
    changes: Mapping[str, list[dict[str, Any]]]
    #: The runs of each start: whoever got no answer knows their ids from nothing else.
    by_number: Mapping[tuple[str, Any], list[dict[str, Any]]]


async def check(system: System, started: Sequence[Started]) -> Findings:
    """Every promise, for every run that is there or was promised."""
    rows = await _read(system)
    findings = Findings(runs=len(rows.runs), asked=len(started), attempts=sum(map(len, rows.attempts.values())))
    findings.ends = Counter(str(run["status"]) for run in rows.runs.values())
    for run_id, run in rows.runs.items():
        if run["finished_at"] is None:
            findings.stuck.append(f"{run_id} ({run['pipeline_slug']}) is {run['status']}")
        _check_nodes(findings, rows, run_id)
        _check_changes(findings, rows, run_id)
    _find_plain(findings, rows, started)
    asked, slugs = {str(one.run_id) for one in started}, {one.shape.slug for one in started}
    for run_id, run in rows.runs.items():
        if run_id not in asked and run["idempotency_key"] is None and run["pipeline_slug"] in slugs:
            findings.unasked.append(f"{run_id} ({run['pipeline_slug']}) is {run['status']}: {run['error']}")
    for one in started:
        _check_started(findings, rows, one)
    _check_order(findings, rows, started)
    _check_executions(findings, rows, started, system)
    return findings


async def _read(system: System) -> Rows:
    runs = await system.query("SELECT * FROM runs.pipeline_runs")
    nodes = await system.query("SELECT * FROM runs.node_results ORDER BY run_id, node_index")
    attempts = await system.query("SELECT * FROM runs.all_attempts ORDER BY run_id, node_key, attempt")
    changes = await system.query("SELECT * FROM witness.changes ORDER BY id")
    return Rows(
        {str(run["id"]): run for run in runs},
        _grouped(nodes, lambda row: str(row["run_id"])),
        _grouped(attempts, lambda row: (str(row["run_id"]), row["node_key"])),
        _grouped(changes, lambda row: str(row["run_id"])),
        _grouped(runs, lambda row: (row["pipeline_slug"], row["input"].get("number"))),
    )


def _grouped(rows: Iterable[dict[str, Any]], key: Any) -> dict[Any, list[dict[str, Any]]]:
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _check_nodes(findings: Findings, rows: Rows, run_id: str) -> None:
    """Attempts are 1 to n without a gap, only the last one can have completed, and the node tells of the last."""
    for node in rows.nodes.get(run_id, []):
        where = f"{run_id}/{node['node_key']}"
        tried = rows.attempts.get((run_id, node["node_key"]), [])
        numbers = [attempt["attempt"] for attempt in tried]
        if FORGED in str(node["output"]) or any(FORGED in str(attempt["error"]) for attempt in tried):
            findings.forged.append(f"{where}: {node['output']}")
        if numbers != list(range(1, len(numbers) + 1)):
            findings.unrecorded.append(f"{where}: attempts {numbers}")
        outcomes = [str(attempt["outcome"]) for attempt in tried]
        if outcomes.count("completed") > 1 or "completed" in outcomes[:-1]:
            findings.doubled.append(f"{where}: {outcomes}")
        if node["status"] in ("completed", "failed") and node["attempt"] != len(numbers):
            findings.unrecorded.append(f"{where}: attempt {node['attempt']} of {numbers}")


def _check_changes(findings: Findings, rows: Rows, run_id: str) -> None:
    """Nothing leaves a final state, and each state follows from the one before it."""
    states: dict[str | None, str] = {}
    settled: Counter[tuple[str | None, int | None]] = Counter()
    for change in rows.changes.get(run_id, []):
        key, left, status = change["node_key"], change["leaves"], change["status"]
        where = f"{run_id}/{key or 'run'}: {left} to {status}"
        if left in FINAL and left is not None:
            findings.changed_after_end.append(where)
        if key in states and states[key] != left:
            findings.doubled.append(f"{where}, but it was {states[key]}")
        states[key] = status
        if status in FINAL:
            settled[key, change["attempt"]] += 1
    findings.doubled += [f"{run_id}/{key}: attempt {n} settled {c} times" for (key, n), c in settled.items() if c > 1]


def _find_plain(findings: Findings, rows: Rows, started: Sequence[Started]) -> None:
    """Give those that had no id the one of their run, of which there is one alone."""
    for one in started:
        if one.way == PLAIN:
            run_ids = [str(run["id"]) for run in rows.by_number.get((one.shape.slug, one.number), [])]
            if len(run_ids) > 1:
                findings.asked_once.append(f"{one.shape.slug} number {one.number}: {run_ids}")
            one.run_id = UUID(run_ids[0]) if run_ids else one.run_id
            findings.plain += 1


def _check_started(findings: Findings, rows: Rows, one: Started) -> None:
    findings.bad_answers += [one.bad_answer] if one.bad_answer is not None else []
    if one.acknowledged_at is None:
        return
    findings.acknowledged += 1
    findings.keys += bool(one.twins)
    findings.keys_with_two_runs += [f"{one.run_id} and {twin}" for twin in one.twins if twin != one.run_id]
    run = rows.runs.get(str(one.run_id))
    if run is None:
        findings.lost.append(f"{one.run_id} ({one.shape.slug}, {one.way})")
        return
    if one.cancel_asked_at is not None and one.cancelled_at is not None:
        findings.cancel_s.append(one.cancelled_at - one.cancel_asked_at)
    # One that nobody has cancelled completes.
    if run["status"] != one.shape.ends and not (one.shape.is_cancelled and one.cancelled_at is None):
        findings.wrong.append(f"{one.run_id} ({one.shape.slug}) is {run['status']}: {run['error']}")
    elif run["status"] == RunStatus.COMPLETED and one.shape.output is not None:
        nodes = {node["node_key"]: node["output"] for node in rows.nodes[str(one.run_id)]}
        for key, output in one.shape.output(one.number).items():
            if nodes[key] != output:
                findings.wrong.append(f"{one.run_id}/{key} gave {nodes[key]}, not {output}")


def _check_order(findings: Findings, rows: Rows, started: Sequence[Started]) -> None:
    """No worker began a node before the states of all that it needs were written."""
    for one in started:
        run_id = str(one.run_id)
        ended: dict[str, datetime] = {
            change["node_key"]: change["at"]
            for change in rows.changes.get(run_id, [])
            if change["node_key"] is not None and change["status"] in FINAL
        }
        for edge in one.shape.document["edges"]:
            attempts = rows.attempts.get((run_id, edge["target"]), [])
            begun = [attempt["started_at"] for attempt in attempts if attempt["started_at"] is not None]
            source = ended.get(edge["source"])
            if begun and (source is None or min(begun) < source):
                findings.too_early.append(f"{run_id}: {edge['target']} at {min(begun)}, {edge['source']} at {source}")


def _check_executions(findings: Findings, rows: Rows, started: Sequence[Started], system: System) -> None:
    """What the other side saw, against what workers told."""
    for one in started:
        for node in one.shape.document["nodes"]:
            name = f"{one.shape.slug}.{node['key']}.{one.number}"
            times = system.ledger.times.get(name, [])
            findings.executions += len(times)
            attempts = [
                attempt
                for run in rows.by_number.get((one.shape.slug, one.number), [])
                for attempt in rows.attempts.get((str(run["id"]), node["key"]), [])
            ]
            # What a dead worker had done, nobody told: it explains no execution.
            told = sum(attempt["outcome"] != AttemptOutcome.WORKER_DIED for attempt in attempts)
            if len(times) > told:
                first, last = moment_of(times[0]), moment_of(times[-1]) if len(times) > 1 else now()
                findings.extra += [Extra(name, first, last)] * (len(times) - told)
            if one.cancelled_at is not None:
                after = [at - one.cancelled_at for at in times if at > one.cancelled_at]
                late = [at for at in after if at > CANCEL_GRACE_S]
                findings.begun_in_grace += len(after) - len(late)
                findings.begun_after_cancel += [f"{one.run_id}/{node['key']}: {at:.2f} s after" for at in late]
