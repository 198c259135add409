"""The diagrams of `docs/states.md`: every arrow is one that the code can make, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from services.coordinator.allowed import ACTIONS
from services.coordinator.delivering import DELAYS_S, AttemptEnd
from services.coordinator.delivering import after as after_attempt
from services.coordinator.release import first_release
from services.coordinator.requests import StartRequest
from services.coordinator.starter import _row
from services.definition import lifecycle
from services.definition.lifecycle import after_archive, after_publish
from shared.contracts.runs import RunRequested
from shared.contracts.states import AttemptOutcome, DeliveryStatus, NodeStatus, PipelineStatus, RunStatus
from shared.errors import ConflictError, NotFoundError
from tests.unit.coordinator.building import RUN_ID, graph_of, node, outcome, run_of, settled
from tests.unit.coordinator.world import World

ROOT = Path(__file__).parents[2]
DIAGRAMS = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
CLOSE_NODES = (ROOT / "services/coordinator/store/queries/close_nodes.sql").read_text(encoding="utf-8")
#: Where an arrow begins that nothing comes before, or ends that nothing comes after.
NONE = "[*]"
Arrows = set[tuple[str, str]]


def drawn(title: str) -> Arrows:
    """The arrows of a diagram, but for those that end it."""
    return {arrow for arrow in arrows_under(title) if arrow[1] != NONE}


def arrows_under(title: str) -> Iterator[tuple[str, str]]:
    section = DIAGRAMS.split(f"## {title}\n")[1].split("\n## ")[0]
    yield from re.findall(r"^ +(\[\*\]|\w+) --> (\[\*\]|\w+)", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "final"),
    [
        ("Pipeline", {PipelineStatus.ARCHIVED}),
        ("Run", {status for status in RunStatus if status.is_final}),
        ("Node result", {status for status in NodeStatus if status.is_final}),
    ],
)
def test_a_diagram_ends_in_the_final_states_and_leaves_none(title: str, final: set[str]):
    assert {left for left, status in arrows_under(title) if status == NONE} == final
    assert not {left for left, status in drawn(title)} & final


# What the code can do


def attempted(change: Callable[[PipelineStatus, str], PipelineStatus]) -> Arrows:
    found: Arrows = set()
    for status in PipelineStatus:
        try:
            found.add((status, change(status, "digest")))
        except ConflictError:
            continue
    return {(left, status) for left, status in found if left != status}


def acting() -> Arrows:
    """What people can do to a run; a retry makes another one."""
    return {(left, after) for name, (states, after) in ACTIONS.items() if name != "retry" for left in states}


def written_down() -> dict[str, tuple[set[str], str]]:
    """The table of actions."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", DIAGRAMS.split("## Run\n")[1].split("\n## ")[0], re.MULTILINE
    )
    return {name: (set(re.findall(r"`(\w+)`", left)), after) for name, left, after in rows}


def test_the_table_of_actions_is_that_of_the_code():
    table = written_down()
    assert {name: left for name, (left, _) in table.items()} == {name: set(left) for name, (left, _) in ACTIONS.items()}
    for name, (_, after) in ACTIONS.items():
        assert table[name][1].startswith("a new run" if name == "retry" else f"`{after}`")


def test_the_table_of_a_pipelines_actions_is_that_of_the_code():
    section = DIAGRAMS.split("## Pipeline\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|$", section, re.MULTILINE)
    table = {name: set(re.findall(r"`(\w+)`", left)) for name, left in rows}
    assert table == {name: set(states) for name, states in lifecycle.ACTIONS.items()}


def closing() -> Arrows:
    """What becomes of nodes whose run has ended."""
    change = re.search(r"CASE (?:node\.)?status WHEN '(\w+)' THEN '(\w+)' ELSE '(\w+)'", CLOSE_NODES)
    left = re.search(r"status IN \((.*?)\)", CLOSE_NODES)
    assert change is not None
    assert left is not None
    others = set(re.findall(r"'(\w+)'", left[1])) - {change[1]}
    return {(change[1], change[2])} | {(name, change[3]) for name in others}


EVERYTHING = graph_of(
    "a -yes-> b", "a -no-> c", "b -error-> d", "c -> e", "f", a=node(tries=2), f=node(on_error="continue")
)


def settling() -> tuple[Arrows, Arrows]:
    """The arrows of runs and of nodes in many runs of a graph that has everything; in half of them `c` breaks."""
    runs: Arrows = set()
    nodes: Arrows = set()
    for seed in range(40):
        tries = {**{key: ["ok"] for key in EVERYTHING.nodes}, "a": ["retry", "ok:no"], "f": ["broken"]}
        tries["c"] = [["ok"], ["broken"]][seed % 2]
        world = World(EVERYTHING, tries, {"text": 2}, Random(seed))
        world.run()
        runs.add((RunStatus.RUNNING, world.database.status))
        nodes |= world.database.arrows
    return runs, nodes


def starting() -> tuple[Arrows, Arrows]:
    """How runs and their nodes begin."""
    run = first_release(RUN_ID, graph_of("a", "b", "a -> c"), lambda _: 1)
    refused = StartRequest(RunRequested(pipeline="x"), RUN_ID, True, None, refusal=NotFoundError("x", "y"))
    begun = {state.status for state in run.nodes.values()}
    waiting = {NodeStatus.PENDING} if len(run.nodes) < len(run.graph.nodes) else set()
    runs = {(RunStatus.PENDING, run.status), (RunStatus.PENDING, _row(refused, None)["status"])}
    return runs, {(NONE, status) for status in begun | waiting}


def test_the_arrows_of_a_pipeline_are_those_of_the_code():
    assert drawn("Pipeline") == attempted(after_publish) | attempted(after_archive) | {(NONE, "draft")}


def test_the_arrows_of_a_run_are_those_of_the_code():
    assert drawn("Run") == starting()[0] | settling()[0] | acting() | {(NONE, "pending")}


def test_the_arrows_of_a_node_result_are_those_of_the_code():
    assert drawn("Node result") == starting()[1] | settling()[1] | closing()


def delivering() -> Arrows:
    """What becomes of a delivery: by attempts, and by somebody who lets it be sent again."""
    ends = [AttemptEnd(True), AttemptEnd(False), AttemptEnd(False, is_gone=True)]
    after_one = {after_attempt(end, failures, Random(1)).status for end in ends for failures in (0, len(DELAYS_S))}
    again = {(status, "pending") for status in DeliveryStatus if status is not DeliveryStatus.PENDING}
    return {("pending", status) for status in after_one} | again | {(NONE, "pending")}


def test_the_arrows_of_a_delivery_are_those_of_the_code():
    assert drawn("Webhook delivery") == delivering()


# Attempts


def rows_of_attempts() -> dict[str, str]:
    """Outcome -> whether it is tried again."""
    return dict(re.findall(r"^\| `(\w+)` \|.*\| (.*?) \|$", DIAGRAMS.split("## Attempts\n")[1], re.MULTILINE))


def is_tried_again(how: AttemptOutcome) -> bool:
    run = run_of(graph_of("a", a=node(tries=2)), running="a")
    settled(run, outcome("a", how, retryable=True))
    return run.nodes["a"].status is NodeStatus.PENDING


def test_every_outcome_of_an_attempt_is_explained():
    assert list(rows_of_attempts()) == list(AttemptOutcome)


#: An attempt is cancelled by the end of its run alone; no worker can say so.
@pytest.mark.parametrize("how", [how for how in AttemptOutcome if how is not AttemptOutcome.CANCELLED])
def test_what_is_tried_again_is_what_the_table_says(how: AttemptOutcome):
    assert (rows_of_attempts()[how] != "no") is is_tried_again(how)
