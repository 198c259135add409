"""Seeds of the simulator, and faults planted in what it runs, each of which it must find."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from services.coordinator import transitions
from services.coordinator.decision import Decision
from services.coordinator.release import release
from services.coordinator.state import NodeState, Outcome, RunState
from services.coordinator.transitions import Standing
from shared.contracts.states import RunStatus
from tests.simulator import simulation
from tests.simulator.simulation import BrokenError, Order, Simulation
from tests.unit.coordinator.database import Database

#: Here; `make simulate` does thousands.
SEEDS = 1000
#: A planted fault is found within so many.
MOST_SEEDS = 300

REAL = transitions.standing_of


def test_no_promise_is_broken_under_these_seeds():
    kills = cuts = remembered = 0
    for seed in range(SEEDS):
        tried = Simulation(seed)
        tried.run()
        kills += tried.kills
        cuts += tried.cuts
        remembered += tried.remembered
    assert remembered > SEEDS / 4
    assert kills > SEEDS
    assert cuts > SEEDS / 10


def test_without_faults_everything_is_done_once():
    for seed in range(100):
        tried = Simulation(seed, has_faults=False)
        tried.run()
        if tried.database.status is RunStatus.COMPLETED:
            assert tried.executions == Counter(tried.database.attempts)


def test_a_seed_does_the_same_again():
    told: list[list[str]] = [[], []]
    for lines in told:
        Simulation(11, say=lines.append).run()
    assert told[0] == told[1]
    assert len(told[0]) > 50


def settles_twice(run: RunState | None, outcome: Outcome) -> Standing:
    found = REAL(run, outcome)
    return Standing.EXPECTED if found is Standing.SETTLED else found


def takes_any_attempt(run: RunState | None, outcome: Outcome) -> Standing:
    found = REAL(run, outcome)
    return Standing.EXPECTED if found is Standing.STALE else found


def goes_on_after_the_end(run: RunState | None, outcome: Outcome) -> Standing:
    found = REAL(run, outcome)
    return Standing.EXPECTED if found is Standing.RUN_IS_OVER else found


DEFAULT = Order()


def finds(order: Order = DEFAULT) -> str:
    """What the first seed says that finds it."""
    for seed in range(MOST_SEEDS):
        try:
            Simulation(seed, order=order).run()
        except BrokenError as error:
            return str(error)
    raise AssertionError("the planted fault was not found")


@pytest.mark.parametrize("planted", [settles_twice, takes_any_attempt, goes_on_after_the_end])
def test_results_that_should_be_ignored_are_found(
    planted: Callable[[RunState | None, Outcome], Standing], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transitions, "standing_of", planted)

    finds()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order(publishes_before_commit=True), "nobody has committed it"),
        (Order(rescues_lost=False), "stuck"),
        (Order(releases_due=False), "stuck"),
        (Order(ends_expired=False), "stuck"),
        (Order(guards_memory=False), "not running"),
    ],
    ids=["published before the commit", "lost work", "due retries", "leases that are over", "a wrong memory"],
)
def test_what_is_left_out_or_done_too_early_is_found(order: Order, words: str):
    found = finds(order)

    assert words in found
    assert re.search(r"python -m tests.simulator --seed \d+ --trace$", found)


def test_a_cancel_that_closes_nothing_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Database, "_close", lambda self: None)

    finds()


def test_a_window_that_is_passed_over_is_found(monkeypatch: pytest.MonkeyPatch):
    def one_more(
        decision: Decision, run: RunState, ready: Iterable[NodeState], window_of: Callable[[str], int]
    ) -> None:
        release(decision, run, ready, lambda node_type: window_of(node_type) + 1)

    monkeypatch.setattr(simulation, "release", one_more)

    assert "are out" in finds()
