"""What a coordinator remembers of runs, and when it must read."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from services.coordinator import memory as memories
from services.coordinator.decision import Decision
from services.coordinator.memory import RunMemory
from services.coordinator.release import first_release
from services.coordinator.state import Outcome
from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import RUN_ID, completed, graph_of

GRAPH = graph_of("a -> b", "b -> c")


@pytest.fixture
def memory() -> RunMemory:
    memory = RunMemory()
    memory.begin(first_release(RUN_ID, GRAPH, lambda _: 8))
    return memory


def settled(memory: RunMemory, *outcomes: Outcome) -> Decision | None:
    return memory.settle(outcomes, lambda _: 8, Random(1))


def committed(memory: RunMemory, keys: Iterable[str]) -> Decision:
    decision = Decision()
    for key in keys:
        decision = settled(memory, completed(key)) or pytest.fail(f"{key} is not remembered")
        decision.runs[RUN_ID].seq += 1
        memory.keep(decision)
    return decision


def test_a_run_that_began_here_is_settled_to_its_end_without_reading(memory: RunMemory):
    last = committed(memory, "abc")

    assert last.ended[RUN_ID].run.status is RunStatus.COMPLETED
    assert last.runs[RUN_ID].seq == 4
    assert settled(memory, completed("c")) is None, "a run that is over is not remembered"


def test_a_decision_that_was_not_committed_leaves_no_trace(memory: RunMemory):
    for _ in range(2):
        decision = settled(memory, completed("a"))
        assert decision is not None
        assert decision.runs[RUN_ID].seq == 1
        assert [node.key for _, node in decision.released] == ["b"]


def test_what_was_announced_of_a_decision_stays_as_it_was(memory: RunMemory):
    first = committed(memory, "a")
    committed(memory, "b")

    assert first.runs[RUN_ID].seq == 2
    assert first.changes[RUN_ID, "b"].node.status is NodeStatus.RUNNING


@pytest.mark.parametrize(
    "outcomes",
    [
        [completed("b")],
        [completed("a"), completed("a")],
        [completed("a", 2)],
        [completed("a"), completed("b", 7)],
    ],
    ids=["not running", "said twice", "another attempt", "one of two"],
)
def test_only_postgres_can_tell_that_something_is_to_be_ignored(memory: RunMemory, outcomes: list[Outcome]):
    assert settled(memory, *outcomes) is None


def test_a_run_that_was_changed_by_somebody_else_is_forgotten(memory: RunMemory):
    decision = settled(memory, completed("a"))
    assert decision is not None
    decision.runs[RUN_ID].seq += 2

    memory.keep(decision)

    assert settled(memory, completed("b")) is None


def test_after_a_doubt_nothing_is_remembered_for_a_while(memory: RunMemory, monkeypatch: pytest.MonkeyPatch):
    memory.doubt()
    assert settled(memory, completed("a")) is None
    memory.begin(first_release(RUN_ID, GRAPH, lambda _: 8))
    assert settled(memory, completed("a")) is None

    monkeypatch.setattr(memories, "DOUBT_S", 0.0)
    memory.doubt()
    memory.begin(first_release(RUN_ID, GRAPH, lambda _: 8))
    assert settled(memory, completed("a")) is not None


def test_what_does_not_fit_is_forgotten_first_of_all_the_oldest(memory: RunMemory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memories, "NODES_KEPT", 2 * len(GRAPH.nodes))
    memory = RunMemory()
    names = [RUN_ID, "2", "3"]
    for name in names:
        memory.begin(first_release(name, GRAPH, lambda _: 8))

    found = [memory.copies([name]) is not None for name in names]

    assert found == [False, True, True]
