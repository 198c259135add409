"""Who may say what on NATS: the users of a server, their accounts and their rights, from the channels and one table.

The gateway, the definition service, the coordinators and the topology job share one account, which holds the streams.
Every executor type, and the services that start runs, have an account of their own, into which no more than their
subjects is imported. A list of subjects alone would not hold a hostile worker: whoever may ask JetStream for anything
chooses where the answer goes, and the server publishes it there with its own rights, even where it deletes a stream.
An account is a wall: there the answer goes nowhere else. (docs/decisions/0012-least-privilege.md)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.cli.channels import CHANNELS, Channel
from shared.bus.address import inbox_prefix
from shared.bus.durability import SERVERS
from shared.contracts import subjects

#: The account of the streams.
CORE = "PIPEWRIGHT"
#: The account in which servers talk of themselves.
SYSTEM = "SYS"
CLIENT = "internal-client"
#: Node types that tell text as it comes.
TELLS_TOKENS = frozenset({"llm"})

API = "$JS.API"
_TRANSFERS = subjects.TRANSFERS_STREAM
_NODE_TYPES = subjects.NODE_TYPES_STREAM
_ENDED_RUNS = subjects.ENDED_RUNS_STREAM
_STREAMS = (
    subjects.RUN_REQUESTS,
    subjects.NODE_WORK,
    subjects.NODE_RESULTS,
    subjects.RUN_EVENTS,
    subjects.DEAD_LETTERS,
    _NODE_TYPES,
    _ENDED_RUNS,
    _TRANSFERS,
)
#: What large bodies travel through.
_CARRY = (
    f"$O.{subjects.TRANSFERS_BUCKET}.C.*",
    f"$O.{subjects.TRANSFERS_BUCKET}.M.*",
    f"{API}.DIRECT.GET.{_TRANSFERS}",
    f"{API}.DIRECT.GET.{_TRANSFERS}.$O.{subjects.TRANSFERS_BUCKET}.M.*",
)


@dataclass(frozen=True)
class User:
    """A user of NATS; what is in neither list is refused."""

    name: str
    account: str
    publish: tuple[str, ...]
    #: Its inbox is always among them.
    subscribe: tuple[str, ...]

    @property
    def password_variable(self) -> str:
        """`NATS_PASSWORD_EXECUTOR_LLM`."""
        return f"NATS_PASSWORD_{_constant(self.name)}"


def users(executors: Mapping[str, Sequence[str]]) -> list[User]:
    """All users; `executors` names the node types that each executor's processes serve."""
    return [
        _core("topology", [*_topology(), *_CARRY, subjects.RUNS_LIST, subjects.NODE_TYPES_LIST]),
        _core("definition", [*_sent("definition"), *_replies(), *_CARRY, *_watch(_NODE_TYPES), *_make_durables()]),
        _core(
            "coordinator",
            [*_sent("coordinator"), *_replies(), *_CARRY, *_coordinator()],
            heard=[subjects.ENDED_RUNS_MADE],
        ),
        _core("gateway", [*_sent("gateway"), *_CARRY, *_watch(subjects.RUN_EVENTS), f"{API}.STREAM.NAMES"]),
        _client(),
        *(_executor(name, types) for name, types in executors.items()),
    ]


def _core(role: str, publish: Iterable[str], heard: Iterable[str] = ()) -> User:
    return User(role, CORE, _sorted(publish), _sorted([*_heard(role), *heard, _inbox(role)]))


def _client() -> User:
    """Has an account to itself, so that what any NATS client listens to by default is its own as well."""
    heard = [*_heard("client"), _inbox(CLIENT), "_INBOX.>"]
    return User(CLIENT, "CLIENTS", _sorted([*_sent("client"), *_CARRY]), _sorted(heard))


def _executor(name: str, node_types: Sequence[str]) -> User:
    user = f"executor-{name}"
    publish = [*_CARRY, f"{API}.DIRECT.GET.{_ENDED_RUNS}"]
    for node_type in node_types:
        subjects.node_ready(node_type)  # Raises ValueError for what cannot be the name of a type.
        sent = _sent("executor", node_type)
        publish += [subject for subject in sent if "tokens" not in subject or node_type in TELLS_TOKENS]
        publish += _take(subjects.NODE_WORK, node_type)
    return User(user, _constant(user), _sorted(publish), _sorted([subjects.ALL_ENDED_RUNS, _inbox(user)]))


def _sent(role: str, node_type: str = "*") -> list[str]:
    return [_subject(channel, node_type) for channel in CHANNELS if role in channel.senders.split()]


def _heard(role: str) -> list[str]:
    """What is subscribed to; what lies in work queues and buckets is taken from there."""
    return [
        _subject(channel)
        for channel in CHANNELS
        if role in channel.receivers.split() and channel.kept in (None, subjects.RUN_EVENTS)
    ]


def _subject(channel: Channel, node_type: str = "*") -> str:
    return re.sub(r"\{(\w+)\}", lambda part: node_type if part[1] == "node_type" else "*", channel.subject)


def _replies() -> list[str]:
    """Where those who ask wait for an answer; from other accounts the server leads it back."""
    return ["_R_.>", *(_inbox(user) for user in ("gateway", "coordinator", "topology"))]


def _inbox(user: str) -> str:
    return f"{inbox_prefix(user)}.>"


def _take(stream: str, durable: str) -> list[str]:
    """Take messages of this durable, and say what became of them."""
    return [f"{API}.CONSUMER.MSG.NEXT.{stream}.{durable}", f"$JS.ACK.{stream}.{durable}.>"]


def _watch(stream: str) -> list[str]:
    """Read a stream, and what is put into it from then on."""
    return [
        f"{API}.STREAM.INFO.{stream}",
        f"{API}.CONSUMER.CREATE.{stream}",
        f"{API}.CONSUMER.INFO.{stream}.*",
        f"$JS.FC.{stream}.>",
    ]


def _make_durables() -> list[str]:
    stream = subjects.NODE_WORK
    return [f"{API}.CONSUMER.INFO.{stream}.*", f"{API}.CONSUMER.DURABLE.CREATE.{stream}.*"]


def _coordinator() -> list[str]:
    durables = (
        (subjects.RUN_REQUESTS, subjects.RUN_REQUESTS_DURABLE),
        (subjects.NODE_RESULTS, subjects.NODE_RESULTS_DURABLE),
    )
    return [
        *(subject for durable in durables for subject in _take(*durable)),
        *(f"{API}.CONSUMER.INFO.{stream}.{durable}" for stream, durable in durables),
        # Without them it makes them anew.
        *(f"{API}.CONSUMER.DURABLE.CREATE.{stream}.{durable}" for stream, durable in durables),
        *(f"{API}.STREAM.MSG.GET.{stream}" for stream in (subjects.NODE_WORK, subjects.NODE_RESULTS)),
        f"{API}.CONSUMER.INFO.{subjects.NODE_WORK}.*",
        f"{API}.DIRECT.GET.{_NODE_TYPES}",
        f"{API}.STREAM.INFO.{_ENDED_RUNS}",
        f"{API}.STREAM.INFO.{subjects.RUN_REQUESTS}",
        SERVERS,
        subjects.ALL_ENDED_RUNS,
    ]


def _topology() -> list[str]:
    """Make and change, not remove."""
    found = [f"{API}.STREAM.{verb}.{stream}" for stream in _STREAMS for verb in ("INFO", "CREATE", "UPDATE")]
    for stream in (subjects.RUN_REQUESTS, subjects.NODE_RESULTS, subjects.NODE_WORK):
        found += [f"{API}.CONSUMER.INFO.{stream}.*", f"{API}.CONSUMER.DURABLE.CREATE.{stream}.*"]
    return found


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def _constant(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()
