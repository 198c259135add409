"""Runs whose end is known beforehand: a graph, and how each attempt of each node ends."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.coordinator.graph import Graph, is_live
from shared.contracts.states import NodeStatus
from tests.unit.coordinator.building import graph_of, node

ARROWS = ("->", "->", "->", "-yes->", "-no->", "-error->")
ENDS = ("ok", "ok", "ok", "ok:yes", "ok:no", "broken", "retry")


@dataclass(frozen=True)
class Case:
    """`tries[key]` says how each attempt ends: `ok`, `ok:branch`, `retry` or `broken`."""

    graph: Graph
    tries: dict[str, list[str]]
    windows: dict[str, int]


def make_case(
    lines: list[str], tries: dict[str, list[str]], types: dict[str, str], continued: set[str], windows: dict[str, int]
) -> Case:
    """`continued` are the nodes after whose failure the run goes on; an error edge says the same."""
    caught = {line.split()[0] for line in lines if "-error->" in line}
    nodes = {
        key: node(type=types[key], tries=len(tries[key]), on_error="continue" if key in continued - caught else "fail")
        for key in tries
    }
    return Case(graph_of(*lines, **nodes), tries, windows)


def random_case(random: Random) -> Case:
    """Chains, fans, diamonds, branches, failures and retries of up to nine nodes."""
    keys = [f"n{number}" for number in range(random.randint(1, 9))]
    tries = {key: ["retry"] * random.choice([0, 0, 1, 2]) + [random.choice(ENDS)] for key in keys}
    lines = list(keys)
    for at, target in enumerate(keys):
        for source in random.sample(keys[:at], min(at, random.choice([0, 1, 1, 2, 3]))):
            lines.append(f"{source} {random.choice(ARROWS)} {target}")
    types = {key: random.choice(["text", "llm"]) for key in keys}
    continued = {key for key in keys if random.random() < 0.6}
    return make_case(lines, tries, types, continued, {"text": random.randint(1, 4), "llm": random.randint(1, 2)})


def expected(case: Case) -> tuple[dict[str, NodeStatus], bool]:
    """How every node ends when nothing goes wrong on the way, and whether a failure is unhandled."""
    ends: dict[str, NodeStatus] = {}
    branches: dict[str, str | None] = {}
    for key in case.graph.nodes:
        how, _, branch = case.tries[key][-1].partition(":")
        incoming = case.graph.incoming[key]
        is_reached = not incoming or any(
            is_live(edge, ends[edge.source], branches[edge.source], case.graph.has_error_edge(edge.source))
            for edge in incoming
        )
        ended_as = NodeStatus.COMPLETED if how == "ok" else NodeStatus.FAILED
        ends[key] = ended_as if is_reached else NodeStatus.SKIPPED
        branches[key] = branch or None
    failures = [key for key, end in ends.items() if end is NodeStatus.FAILED]
    return ends, any(not case.graph.handles_failure(key) for key in failures)
