"""States: Python and Postgres know the same ones, and keep the same ones for ever."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from shared.contracts.pipelines import OnError
from shared.contracts.states import AttemptOutcome, DeliveryStatus, NodeStatus, PipelineStatus, RunStatus

ROOT = Path(__file__).parents[2]
SQL = "\n".join(path.read_text() for path in sorted((ROOT / "services").glob("*/migrations/*.sql")))
ENUMS = {
    "definition.pipeline_status": list(PipelineStatus),
    "definition.on_error": list(get_args(OnError)),
    "runs.run_status": list(RunStatus),
    "runs.node_status": list(NodeStatus),
    "runs.attempt_outcome": list(AttemptOutcome),
    "runs.delivery_status": list(DeliveryStatus),
}


def enums_in_sql() -> dict[str, list[str]]:
    """Type -> its values, those of later migrations included."""
    found = {
        name: re.findall(r"'(\w+)'", re.sub(r"--.*", "", body))
        for name, body in re.findall(r"CREATE TYPE (\S+) AS ENUM \((.*?)\);", SQL, re.DOTALL)
    }
    for name, value in re.findall(r"ALTER TYPE (\S+) ADD VALUE '(\w+)'", SQL):
        found[name].append(value)
    return found


def test_every_enum_of_postgres_is_the_one_of_python():
    assert enums_in_sql() == ENUMS


@pytest.mark.parametrize(("table", "states"), [("pipeline_runs", RunStatus), ("node_results", NodeStatus)])
def test_postgres_keeps_exactly_the_final_states(table: str, states: type[RunStatus | NodeStatus]):
    trigger = re.search(rf"BEFORE UPDATE ON runs\.{table}.*?OLD\.status IN \((.*?)\)", SQL, re.DOTALL)
    assert trigger is not None
    assert set(re.findall(r"'(\w+)'", trigger[1])) == {status for status in states if status.is_final}
