"""The pipelines of the load: what each asks of the ledger, and how its runs must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from shared.contracts.states import RunStatus
from tests.e2e.graphs import Document, edge, fetch, pipeline, text

#: Characters; more than what a message carries itself.
LARGE = 300_000
#: Enough that faults alone never use them up.
PATIENT = {"max_attempts": 12, "initial_delay_s": 0.1, "max_delay_s": 1}


@dataclass(frozen=True)
class Shape:
    """A pipeline; node `key` of run number `n` is `slug.key.n` in the ledger."""

    slug: str
    document: Document
    ends: RunStatus = RunStatus.COMPLETED
    #: What a completed run gives, made from its number.
    output: Callable[[int], dict[str, object]] | None = None
    #: Its runs are cancelled while they go on, so long after their start at the most.
    cancelled_within_s: float = 0.0
    #: How often it is chosen, against the others.
    weight: float = 1.0

    @property
    def is_cancelled(self) -> bool:
        return self.cancelled_within_s > 0


def shapes(ledger_url: str) -> list[Shape]:
    """One of each kind of graph."""
    return [
        _chain(ledger_url),
        _fan(ledger_url),
        _diamond(ledger_url),
        _slow(ledger_url),
        _condition(ledger_url),
        _failing(ledger_url),
        _handled(ledger_url),
        _retrying(ledger_url),
        _cancelled(ledger_url),
        _cancelled_wide(ledger_url),
        _large(ledger_url),
        _model(),
    ]


def name(slug: str, key: str) -> str:
    return f"{slug}.{key}.{{{{ input.number }}}}"


def _call(url: str, slug: str, key: str, how: str = "nap/0.02", **more: object) -> Document:
    return fetch(key, f"{url}/{how}/{name(slug, key)}", **({"retry": PATIENT, "timeout_s": 30} | more))


def _chain(url: str) -> Shape:
    keys = [f"step{number}" for number in range(5)]
    nodes = [_call(url, "chain", key) for key in keys]
    return Shape(
        "chain",
        pipeline("chain", nodes, [edge(*pair) for pair in pairwise(keys)]),
    )


def _fan(url: str) -> Shape:
    keys = [f"m{number}" for number in range(6)]
    nodes = [text("first", "go"), *(_call(url, "fan", key) for key in keys), text("last", "{{ nodes.m5.status }}")]
    edges = [edge("first", key) for key in keys] + [edge(key, "last") for key in keys]
    return Shape("fan", pipeline("fan", nodes, edges), output=lambda _: {"last": {"text": "completed"}})


def _diamond(url: str) -> Shape:
    nodes = [
        _call(url, "diamond", "top"),
        text("left", "left {{ nodes.top.body.name }}"),
        _call(url, "diamond", "right", "nap/0.3"),
        text("bottom", "{{ nodes.left.text }} {{ nodes.right.body.name }}"),
    ]
    pairs = (("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom"))
    return Shape(
        "diamond",
        pipeline("diamond", nodes, [edge(*pair) for pair in pairs]),
        output=lambda number: {"bottom": {"text": f"left diamond.top.{number} diamond.right.{number}"}},
    )


def _slow(url: str) -> Shape:
    """Long enough for its worker to ask for a lease."""
    nodes = [_call(url, "slow", "long", "nap/2.5"), text("end", "{{ nodes.long.status }}")]
    return Shape("slow", pipeline("slow", nodes, [edge("long", "end")]))


def _condition(url: str) -> Shape:
    nodes = [
        {"key": "even", "type": "condition", "config": {"expression": "input.number % 2 == 0"}},
        _call(url, "condition", "yes"),
        _call(url, "condition", "no"),
        text("end", "{{ (nodes.yes.body or nodes.no.body).name }}"),
    ]
    edges = [edge("even", "yes", "true"), edge("even", "no", "false"), edge("yes", "end"), edge("no", "end")]
    return Shape(
        "condition",
        pipeline("condition", nodes, edges),
        output=lambda number: {"end": {"text": f"condition.{'no' if number % 2 else 'yes'}.{number}"}},
    )


def _failing(url: str) -> Shape:
    nodes = [_call(url, "failing", "good"), _call(url, "failing", "bad", "status/400"), text("never", "no")]
    edges = [edge("good", "bad"), edge("bad", "never")]
    return Shape("failing", pipeline("failing", nodes, edges), ends=RunStatus.FAILED)


def _handled(url: str) -> Shape:
    nodes = [_call(url, "handled", "bad", "status/400"), text("rescue", "{{ nodes.bad.error.code }}"), text("not", "x")]
    edges = [edge("bad", "rescue", "error"), edge("bad", "not")]
    return Shape("handled", pipeline("handled", nodes, edges))


def _retrying(url: str) -> Shape:
    nodes = [_call(url, "retrying", "flaky", "fail/2"), text("end", "{{ nodes.flaky.status }}")]
    return Shape(
        "retrying",
        pipeline("retrying", nodes, [edge("flaky", "end")]),
        output=lambda _: {"end": {"text": "completed"}},
    )


def _cancelled(url: str) -> Shape:
    """Ten steps, so that whatever the moment of the cancel is, there is something left to begin."""
    keys = [f"slow{number}" for number in range(10)]
    nodes = [_call(url, "cancelled", key, "nap/0.5") for key in keys]
    edges = [edge(*pair) for pair in pairwise(keys)]
    document = pipeline("cancelled", nodes, edges)
    return Shape("cancelled", document, ends=RunStatus.CANCELLED, cancelled_within_s=4)


def _cancelled_wide(url: str) -> Shape:
    """Several times as many as there are slots: when it is cancelled, work of it is queued, delivered and begun.

    The last step keeps the run going until the cancel has come.
    """
    keys = [f"wide{number}" for number in range(60)]
    nodes = [*(_call(url, "wide", key, "nap/0.1") for key in keys), _call(url, "wide", "after", "nap/1")]
    edges = [edge(key, "after") for key in keys]
    document = pipeline("wide", nodes, edges)
    return Shape("wide", document, ends=RunStatus.CANCELLED, cancelled_within_s=1, weight=0.3)


def _large(url: str) -> Shape:
    """An output that travels through the object store."""
    nodes = [_call(url, "large", "big", f"size/{LARGE}"), text("end", "{{ nodes.big.body.text | length }}")]
    return Shape(
        "large",
        pipeline("large", nodes, [edge("big", "end")]),
        output=lambda _: {"end": {"text": str(LARGE)}},
    )


def _model() -> Shape:
    config = {"provider": "ledger", "model": "fake", "prompt": name("model", "ask")}
    nodes = [
        {"key": "ask", "type": "llm", "config": config, "retry": PATIENT, "timeout_s": 30},
        text("end", "{{ nodes.ask.text }}"),
    ]
    return Shape(
        "model",
        pipeline("model", nodes, [edge("ask", "end")]),
        output=lambda number: {"end": {"text": f"said model.ask.{number}"}},
    )
