"""Random graphs under random orders, batches, duplicates and losses: every run must end, and end right."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from shared.contracts.states import NodeStatus, RunStatus
from tests.unit.coordinator.building import graph_of
from tests.unit.coordinator.cases import Case, expected, make_case
from tests.unit.coordinator.database import Database
from tests.unit.coordinator.world import World

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    keys = [f"n{number}" for number in range(draw(st.integers(1, 9)))]
    tries = {key: draw(ways_to_end()) for key in keys}
    lines = list(keys)
    for at, target in enumerate(keys):
        for source in draw(st.sets(st.sampled_from(keys[:at]), max_size=3)) if at else ():
            arrows = draw(st.sets(st.sampled_from(["->", "->", "-yes->", "-no->", "-error->"]), min_size=1, max_size=2))
            lines += [f"{source} {arrow} {target}" for arrow in sorted(arrows)]
    types = {key: draw(st.sampled_from(["text", "llm"])) for key in keys}
    continued = {key for key in keys if draw(st.sampled_from([True, True, False]))}
    windows = {"text": draw(st.integers(1, 4)), "llm": draw(st.integers(1, 2))}
    return make_case(lines, tries, types, continued, windows)


def ways_to_end() -> st.SearchStrategy[list[str]]:
    """Up to two attempts that may be tried again, then one that counts."""
    last = st.sampled_from(["ok", "ok", "ok:yes", "ok:no", "broken", "retry"])
    return st.builds(lambda retries, end: ["retry"] * retries + [end], st.integers(0, 2), last)


def run_world(case: Case, seed: int) -> Database:
    world = World(case.graph, case.tries, case.windows, Random(seed))
    world.run()
    return world.database


@quick
@given(case=cases(), seed=st.integers(0, 2**32))
def test_every_run_ends_with_each_node_finished_once(case: Case, seed: int):
    ended = run_world(case, seed)
    assert ended.finished == dict.fromkeys(case.graph.nodes, 1)


@quick
@given(case=cases(), seed=st.integers(0, 2**32))
def test_the_order_of_results_changes_no_end(case: Case, seed: int):
    ended = run_world(case, seed)
    ends, is_failed = expected(case)
    assert ended.status is (RunStatus.FAILED if is_failed else RunStatus.COMPLETED)
    if not is_failed:
        assert {key: node.status for key, node in ended.nodes.items()} == ends


@quick
@given(case=cases(), seed=st.integers(0, 2**32))
def test_a_run_that_failed_did_nothing_that_it_would_not_have_done(case: Case, seed: int):
    ended = run_world(case, seed)
    ends, _ = expected(case)
    done = {key: node.status for key, node in ended.nodes.items() if node.status in ("completed", "failed")}
    assert done.items() <= ends.items()


@quick
@given(case=cases(), seed=st.integers(0, 2**32))
def test_every_attempt_is_recorded_once_and_in_order(case: Case, seed: int):
    ended = run_world(case, seed)
    for key in case.graph.nodes:
        numbers = [attempt for tried, attempt in ended.attempts if tried == key]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_long_chain_of_joins_ends(seed: int):
    lines = [f"n{at} -> n{at + step}" for at in range(60) for step in (1, 2, 3)]
    graph = graph_of(*lines)
    world = World(graph, {key: ["ok"] for key in graph.nodes}, {"text": 3}, Random(seed))
    world.run()
    assert {node.status for node in world.database.nodes.values()} == {NodeStatus.COMPLETED}
