"""A small world around the pure core: workers, and a bus that repeats, reorders and loses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from services.coordinator.decision import Decision
from services.coordinator.graph import Graph
from services.coordinator.release import release
from services.coordinator.state import Outcome, RunState
from services.coordinator.transitions import keys_to_load, settle
from tests.unit.coordinator.building import RUN_ID, completed, failed
from tests.unit.coordinator.database import Database

#: Far more than any run here needs.
MOST_STEPS = 3000


class World:
    """One run. `tries[key]` says how each attempt of a node ends: `ok`, `ok:branch`, `retry` or `broken`."""

    def __init__(
        self, graph: Graph, tries: Mapping[str, list[str]], windows: Mapping[str, int], random: Random
    ) -> None:
        self.graph, self.tries, self.windows, self.random = graph, tries, windows, random
        self.database = Database(graph, windows)
        self.work = [(node.key, node.attempt) for node in self.database.running]
        self.results: list[Outcome] = []

    # What may happen next, in any order

    def run(self) -> None:
        for _ in range(MOST_STEPS):
            if self.database.status.is_final:
                return
            if self.random.random() < 0.1:
                self._release_due()
            elif self.work and self.random.random() < 0.5:
                self._do_work()
            elif self.results:
                self._settle()
            elif not self.work:
                self._send_again()
        raise AssertionError("the run does not end")

    def _do_work(self) -> None:
        """A worker takes a message, which may come again or may get lost; so may its result."""
        key, attempt = self.work.pop(self.random.randrange(len(self.work)))
        chance = self.random.random()
        if chance < 0.1:
            return
        if chance < 0.2:
            self.work.append((key, attempt))
        result = end_of(self.tries, key, attempt, is_redelivered=self.random.random() < 0.2)
        self.results += [result] * self.random.choice([0, 1, 1, 1, 1, 1, 2])
        if self.random.random() < 0.1:
            self.results.append(replace(result, attempt=self.random.choice([attempt - 1, attempt + 100])))

    def _settle(self) -> None:
        self.random.shuffle(self.results)
        count = self.random.randint(1, len(self.results))
        batch, self.results = self.results[:count], self.results[count:]
        freed = Counter(self.graph.nodes[outcome.node_key].type for outcome in batch)
        run = self.database.load(keys_to_load(self.graph, batch), freed)
        self._save(run, settle({RUN_ID: run}, batch, self.database.window_of, self.random))

    def _release_due(self) -> None:
        """Retries are due, and windows are filled."""
        due = self.database.due
        run = self.database.load(due, self.windows)
        decision = Decision()
        release(decision, run, [run.nodes[key] for key in due], self.database.window_of)
        self._save(run, decision)

    def _send_again(self) -> None:
        """Nothing is on its way any more: what is running was lost."""
        self.work += [(node.key, node.attempt) for node in self.database.running]
        if not self.work:
            self._release_due()
        assert self.work, "nothing is left to do, but the run has not ended"

    def _save(self, run: RunState, decision: Decision) -> None:
        self.database.save(run, decision)
        self.work += [(node.key, node.attempt) for _, node in (*decision.released, *decision.repeated)]


def end_of(tries: Mapping[str, list[str]], key: str, attempt: int, *, is_redelivered: bool = False) -> Outcome:
    """What a worker says of this attempt; every worker would say the same."""
    how, _, branch = tries[key][attempt - 1].partition(":")
    if how == "ok":
        return completed(key, attempt, branch=branch or None, is_redelivered=is_redelivered)
    return failed(key, attempt, retryable=how == "retry", is_redelivered=is_redelivered)
