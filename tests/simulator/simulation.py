"""One run under coordinators, workers and a reconciler that may die between any two effects; a seed decides all.

The decisions are the real ones; the bus, the database and the processes around them are played here. A process is a
generator that gives way after each effect, so that it can be killed there and another can go on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from services.coordinator import transitions
from services.coordinator.decision import Decision
from services.coordinator.memory import RunMemory
from services.coordinator.release import first_release, release
from services.coordinator.state import NodeState, Outcome, RunState
from shared.contracts.states import AttemptOutcome, NodeStatus
from tests.simulator.stream import Message, Stream
from tests.unit.coordinator.building import RUN_ID, outcome
from tests.unit.coordinator.cases import Case, expected, random_case
from tests.unit.coordinator.database import Database
from tests.unit.coordinator.world import end_of

#: Steps with faults, and steps afterwards in which the run must end.
FAULTY_STEPS = 250
MOST_STEPS = 6000
MOST_COORDINATORS = WORKERS = 2
#: What was committed so few steps ago may be about to be published, and is not yet lost.
MARGIN_STEPS = 100

Work = tuple[str, int]
Process = Iterator[str]


@dataclass(frozen=True)
class Order:
    """How a coordinator goes about it; anything but the default is a planted fault."""

    publishes_before_commit: bool = False
    rescues_lost: bool = True
    releases_due: bool = True
    ends_expired: bool = True
    guards_memory: bool = True


class BrokenError(AssertionError):
    """A promise does not hold; the message says how to see it again."""


@dataclass
class Simulation:
    seed: int
    has_faults: bool = True
    order: Order = Order()
    say: Callable[[str], None] = lambda text: None
    executions: Counter[Work] = field(default_factory=Counter)
    kills: int = 0
    cuts: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.case: Case = random_case(self.random)
        self.coordinators = self.random.randint(1, MOST_COORDINATORS)
        self.database = Database(self.case.graph, self.case.windows)
        self.work: Stream[tuple[str, int]] = Stream()
        self.results: Stream[Outcome] = Stream()
        #: Attempts whose worker has said that it is at it -> that worker.
        self.leases: dict[Work, object] = {}
        self.lock: object = None
        self.processes: dict[str, Process] = {}
        #: What each coordinator remembers; the first one has started the run.
        self.memories: defaultdict[str, RunMemory] = defaultdict(RunMemory)
        self.memories["coordinator 0"].begin(first_release(RUN_ID, self.case.graph, self.database.window_of))
        self.remembered = 0
        self.said: list[Outcome] = []
        self.died = 0
        self.is_cancelled = False
        self.step = 0
        #: When each attempt was last sent, by the steps.
        self.sent_at: Counter[Work] = Counter()
        self.cancel_at = self.random.randrange(FAULTY_STEPS) if self.random.random() < 0.15 else None
        self._publish(self.database.running)

    def run(self) -> None:
        """Until the run has ended; raises BrokenError."""
        try:
            for self.step in range(MOST_STEPS):
                if self.database.status.is_final:
                    break
                if self.step == self.cancel_at:
                    self._cancel()
                if self.has_faults and self.step < FAULTY_STEPS and self.random.random() < 0.12:
                    self._fault()
                else:
                    self._go_on()
            self._drain()
            self._check()
        except (AssertionError, LookupError) as error:
            words = f"seed {self.seed}: {type(error).__name__}: {error}"
            raise BrokenError(f"{words}; see it with: python -m tests.simulator --seed {self.seed} --trace") from error

    # Who goes on

    def _go_on(self) -> None:
        names = [f"coordinator {number}" for number in range(self.coordinators)]
        names += [f"worker {number}" for number in range(WORKERS)] + ["reconciler"]
        self._step(self.random.choice(names))

    def _step(self, name: str) -> None:
        """The next effect of this process, which is started when there is none."""
        process = self.processes.get(name)
        if process is None:
            kinds = {"coordinator": self._coordinate, "worker": self._work, "reconciler": self._reconcile}
            process = self.processes[name] = kinds[name.split()[0]](name)
        try:
            self.say(f"{name} {next(process)}")
        except StopIteration:
            del self.processes[name]

    def _fault(self) -> None:
        kind = self.random.choice(["kill", "kill", "kill", "wipe", "repeat", "stale", "lose"])
        if kind == "kill" and self.processes:
            self._kill(self.random.choice(sorted(self.processes)))
        elif kind == "wipe" and self.random.random() < 0.2:
            stream = self.random.choice([self.work, self.results])
            self.say(f"-- {'work' if stream is self.work else 'results'} wiped")
            stream.wipe()
        elif kind == "lose" and self.work.messages:
            lost = self.random.choice(self.work.messages)
            self.say(f"-- work {lost.body} lost")
            self.work.acknowledge(lost)
        elif kind in ("repeat", "stale") and self.said:
            said = self.random.choice(self.said)
            attempt = said.attempt if kind == "repeat" else self.random.choice([said.attempt - 1, said.attempt + 50])
            self.say(f"-- result of {said.node_key}@{attempt} said again")
            self.results.publish(replace(said, attempt=attempt))

    def _kill(self, name: str) -> None:
        self.say(f"-- {name} killed")
        self.kills += 1
        del self.processes[name]
        self.memories.pop(name, None)
        self.work.give_back(name)
        self.results.give_back(name)
        if self.lock == name:
            self.lock = None

    def _cancel(self) -> None:
        if self.lock is None:
            self.say("-- cancelled")
            self.is_cancelled = not self.database.status.is_final
            self.database.cancel()
        else:
            self.cancel_at = (self.cancel_at or 0) + 1

    # What each does

    def _coordinate(self, name: str) -> Process:
        batch = self._take_results(name)
        if not batch:
            yield "finds nothing"
            return
        yield f"takes {[(one.body.node_key, one.body.attempt, one.body.outcome.value) for one in batch]}"
        yield from self._settle(name, batch)

    def _settle(self, name: str, batch: list[Message[Outcome]], *, is_again: bool = False) -> Process:
        """Again when the answer to the commit was lost: all of it may have been settled before."""
        outcomes = [replace(one.body, is_redelivered=is_again or one.deliveries > 1) for one in batch]
        memory = self.memories[name]
        decision = memory.settle(outcomes, self.database.window_of, self.random)
        yield from self._acquire(name)
        if decision is not None and self.order.guards_memory and decision.runs[RUN_ID].seq != self.database.seq:
            yield "remembers wrongly"
            memory.doubt()
            decision = None
        if decision is None:
            known = [one for one in outcomes if one.node_key in self.case.graph.nodes]
            freed = Counter(self.case.graph.nodes[one.node_key].type for one in known)
            run = self.database.load(transitions.keys_to_load(self.case.graph, outcomes), freed)
            yield "has read"
            decision = transitions.settle({RUN_ID: run}, outcomes, self.database.window_of, self.random)
        else:
            run = decision.runs[RUN_ID]
            self.remembered += 1
        sent = [node for _, node in (*decision.released, *decision.repeated)]
        if self.order.publishes_before_commit:
            yield from self._announce(sent)
        self._commit(run, decision)
        yield f"commits {len(decision.changes)} changes, the run is {self.database.status}"
        if self.has_faults and self.random.random() < 0.05:
            yield "is told that it could not commit"
            self.cuts += 1
            memory.forget([RUN_ID])
            yield from self._settle(name, batch, is_again=True)
            return
        memory.keep(decision)
        if not self.order.publishes_before_commit:
            yield from self._announce(sent)
        for one in batch:
            self.results.acknowledge(one)
            yield "acknowledges"

    def _take_results(self, name: str) -> list[Message[Outcome]]:
        taken = (self.results.take(self.random, name) for _ in range(self.random.randint(1, 4)))
        return [message for message in taken if message is not None]

    def _acquire(self, name: str) -> Process:
        while self.lock is not None:
            yield "waits for the lock"
        self.lock = name

    def _commit(self, run: RunState, decision: Decision) -> None:
        self.database.save(run, decision)
        self.sent_at |= {(node.key, node.attempt): self.step for _, node in decision.released}
        self.lock = None

    def _announce(self, nodes: Iterable[NodeState]) -> Process:
        for node in nodes:
            self._publish([node])
            yield f"publishes {node.key}@{node.attempt}.{node.dispatch}"

    def _publish(self, nodes: Iterable[NodeState]) -> None:
        for node in nodes:
            self.work.publish((node.key, node.attempt), f"{node.key}:{node.attempt}:{node.dispatch}")

    def _work(self, name: str) -> Process:
        message = self.work.take(self.random, name)
        if message is None:
            yield "finds nothing"
            return
        key, attempt = message.body
        yield f"takes {key}@{attempt}"
        if self.database.status.is_final:
            # It hears of ended runs, and drops their work.
            self.work.acknowledge(message)
            return
        row = self.database.nodes[key]
        assert row.attempt >= attempt, f"{key}@{attempt} is done though nobody has committed it"
        for edge in self.case.graph.incoming[key]:
            assert self.database.nodes[edge.source].status.is_final, f"{key} is done before {edge.source}"
        if self.random.random() < 0.3 and row.status is NodeStatus.RUNNING and row.attempt == attempt:
            self.leases[key, attempt] = name
            yield f"asks for a lease of {key}@{attempt}"
        self.executions[key, attempt] += 1
        yield f"does {key}@{attempt}"
        said = end_of(self.case.tries, key, attempt)
        self.said.append(said)
        self.results.publish(said)
        yield f"says {said.outcome.value} of {key}@{attempt}"
        self.leases.pop((key, attempt), None)
        self.work.acknowledge(message)
        yield "acknowledges"

    def _reconcile(self, name: str) -> Process:
        """As services/coordinator/reconciler.py: it passes over what another one holds; its coordinator forgets what it
        changes."""
        if self.lock is not None or self.database.status.is_final:
            yield "passes"
            return
        self.lock = name
        decision = Decision()
        due = self.database.due if self.order.releases_due else []
        run = self.database.load(due, self.case.windows)
        release(decision, run, [run.nodes[key] for key in due], self.database.window_of)
        if decision.runs:
            self.memories["coordinator 0"].forget([RUN_ID])
        yield "has looked for what is due"
        self._commit(run, decision)
        yield f"releases {len(decision.released)}"
        yield from self._announce(node for _, node in decision.released)
        yield from self._send_lost(name)
        yield from self._end_expired(name)
        self._see_silence()

    def _send_lost(self, name: str) -> Process:
        if self.lock is not None or self.database.status.is_final or not self.order.rescues_lost:
            return
        there = {message.body for message in self.work.messages}
        there |= {(message.body.node_key, message.body.attempt) for message in self.results.messages}
        late = self.step - MARGIN_STEPS
        lost = [
            one
            for one in self.database.running
            if (one.key, one.attempt) not in {*there, *self.leases} and self.sent_at[one.key, one.attempt] <= late
        ]
        if lost:
            self.lock = name
            yield f"finds {[one.key for one in lost]} lost"
            again = [self.database.raise_dispatch(one.key) for one in lost]
            self.sent_at |= {(one.key, one.attempt): self.step for one in again}
            self.lock = None
            yield "commits their dispatch"
            yield from self._announce(again)

    def _end_expired(self, name: str) -> Process:
        """Leases whose worker is at something else, or dead."""
        if self.lock is not None or self.database.status.is_final or not self.order.ends_expired:
            return
        holders = {message.body: message.holder for message in self.work.messages}
        expired = [held for held, worker in self.leases.items() if holders.get(held) != worker]
        if not expired:
            return
        self.lock = name
        died = []
        for key, attempt in expired:
            del self.leases[key, attempt]
            if (key, attempt) not in holders:
                died.append(outcome(key, AttemptOutcome.WORKER_DIED, attempt, error={"code": "died"}, retryable=True))
        run = self.database.load(transitions.keys_to_load(self.case.graph, died), self.case.windows)
        yield f"finds leases over: {expired}"
        decision = transitions.settle({RUN_ID: run}, died, self.database.window_of, self.random)
        self.died += len(decision.attempts)
        self._commit(run, decision)
        self.memories["coordinator 0"].keep(decision)
        yield f"ends {len(decision.attempts)} attempts whose worker died"
        yield from self._announce(node for _, node in decision.released)

    def _see_silence(self) -> None:
        """What `repair` is for must never be there."""
        if self.lock is None and not self.database.status.is_final:
            has_more = self.database.running or self.database.ready or self.database.due
            assert has_more, "the run goes on with nothing in flight"

    # The end

    def _drain(self) -> None:
        """What was under way when the run ended comes in late, and changes nothing."""
        before = (self.database.status, self.database.seq, len(self.database.attempts))
        self.has_faults = False
        for _ in range(200):
            self._go_on()
        if self.database.status.is_final:
            after = (self.database.status, self.database.seq, len(self.database.attempts))
            assert before == after, "a run that was over has changed"

    def _check(self) -> None:
        database = self.database
        assert database.status.is_final, "the run is stuck"
        assert database.finished == dict.fromkeys(self.case.graph.nodes, 1), "not every node ended once"
        for key in self.case.graph.nodes:
            numbers = [attempt for tried, attempt in database.attempts if tried == key]
            assert numbers == list(range(1, len(numbers) + 1)), f"attempts of {key} are recorded as {numbers}"
        if not self.is_cancelled and not self.died:
            ends, is_failed = expected(self.case)
            assert (database.status == "failed") is is_failed, f"the run is {database.status}"
            if not is_failed:
                assert {key: node.status for key, node in database.nodes.items()} == ends
