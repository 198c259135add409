"""Checks the shape of a graph: pure, and linear in nodes and edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shared.contracts.pipelines import EdgeDocument
from shared.contracts.problems import FieldProblem

Parents = Mapping[str, Sequence[str]]


def edge_findings(keys: set[str], edges: Sequence[EdgeDocument]) -> list[FieldProblem]:
    """Edges to unknown nodes, self-loops and duplicates."""
    findings = []
    seen: dict[tuple[str, str, str | None], int] = {}
    for index, edge in enumerate(edges):
        for end, key in (("source", edge.source), ("target", edge.target)):
            if key not in keys:
                findings.append(_finding(index, f"there is no node '{key}'. Add it or correct the key.", end))
        if edge.source == edge.target:
            findings.append(_finding(index, f"'{edge.source}' leads to itself. Remove this edge."))
        first = seen.setdefault((edge.source, edge.target, edge.branch), index)
        if first != index:
            branch = f" of branch '{edge.branch}'" if edge.branch else ""
            findings.append(
                _finding(
                    index,
                    f"the edge {edge.source} -> {edge.target}{branch} is there already, as /edges/{first}.",
                )
            )
    return findings


def _finding(index: int, detail: str, end: str = "") -> FieldProblem:
    return FieldProblem(pointer=f"/edges/{index}" + (f"/{end}" if end else ""), detail=detail)


def parents_of(keys: Iterable[str], edges: Iterable[EdgeDocument]) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {key: [] for key in keys}
    for edge in edges:
        if edge.target in parents and edge.source in parents:
            parents[edge.target].append(edge.source)
    return parents


def find_cycle(parents: Parents) -> list[str] | None:
    """One cycle as `[a, b, a]`, in the direction of its edges; None when there is none."""
    remaining = {key: len(sources) for key, sources in parents.items()}
    children: dict[str, list[str]] = {key: [] for key in parents}
    for key, sources in parents.items():
        for source in sources:
            children[source].append(key)
    free = [key for key, count in remaining.items() if count == 0]
    for key in free:
        for child in children[key]:
            remaining[child] -= 1
            if remaining[child] == 0:
                free.append(child)
    left = {key for key, count in remaining.items() if count > 0}
    return _walk_back(parents, left) if left else None


def _walk_back(parents: Parents, left: set[str]) -> list[str]:
    """Every node that is left has a parent that is left: going back must come round."""
    key = min(left)
    path: list[str] = []
    place: dict[str, int] = {}
    while key not in place:
        place[key] = len(path)
        path.append(key)
        key = next(source for source in parents[key] if source in left)
    return [key, *reversed(path[place[key] :])]


class Upstream:
    """Answers whether one node is upstream of another; looks only at what is asked for."""

    def __init__(self, parents: Parents) -> None:
        self._parents = parents
        self._ancestors: dict[str, set[str]] = {}

    def is_upstream(self, source: str, target: str) -> bool:
        if source in self._parents.get(target, ()):
            return True
        if target not in self._ancestors:
            self._ancestors[target] = self._all_above(target)
        return source in self._ancestors[target]

    def _all_above(self, key: str) -> set[str]:
        found: set[str] = set()
        waiting = list(self._parents.get(key, ()))
        while waiting:
            parent = waiting.pop()
            if parent not in found:
                found.add(parent)
                waiting.extend(self._parents[parent])
        return found
