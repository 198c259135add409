"""Writes the users of NATS as a server's configuration: accounts, what one gives to another, and lists of subjects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.cli.nats_users import API, CORE, SYSTEM, User, users
from services.executors.registry import BUILT_IN, with_internal
from shared.bus.durability import SERVERS

#: A process of its own for each type that comes with Pipewright.
EXECUTORS: Mapping[str, Sequence[str]] = {node_type: with_internal([node_type]) for node_type in BUILT_IN}

_HEAD = """\
# Written by: pipewright nats-users > deploy/nats/users.conf
# Who may say what; why there are accounts is told in docs/operations.md. Passwords come from the environment.
"""
#: Requests with more than one answer.
_MANY_ANSWERS = (f"{API}.CONSUMER.MSG.NEXT.", f"{API}.DIRECT.GET.KV_")


def users_conf(executors: Mapping[str, Sequence[str]] = EXECUTORS) -> str:
    """For `include users.conf` in the configuration of a server."""
    known = users(executors)
    accounts: dict[str, list[User]] = defaultdict(list)
    for user in known:
        accounts[user.account].append(user)
    lines = [_HEAD.rstrip(), f"system_account: {SYSTEM}", "accounts {", *_system()]
    for account, members in accounts.items():
        lines.append(f"  {account} {{")
        lines += _core(known) if account == CORE else _imports(members)
        lines.append("    users: [")
        for user in members:
            lines += _user(user)
        lines += ["    ]", "  }"]
    return "\n".join([*lines, "}", ""])


def _system() -> Iterator[str]:
    """Nobody uses it; it tells the account of the streams how its servers keep them."""
    yield f"  {SYSTEM} {{"
    yield f'    exports: [ {{ service: "{SERVERS}", accounts: [{CORE}], response_type: stream }} ]'
    yield "  }"


def _core(known: Iterable[User]) -> Iterator[str]:
    """The streams are here; each export names who may import it."""
    services: dict[str, list[str]] = defaultdict(list)
    streams: dict[str, list[str]] = defaultdict(list)
    for user in known:
        if user.account != CORE:
            for subject in user.publish:
                services[subject].append(user.account)
            for subject in _heard(user):
                streams[subject].append(user.account)
    yield "    jetstream: enabled"
    yield f'    imports: [ {{ service: {{ account: {SYSTEM}, subject: "{SERVERS}" }} }} ]'
    yield "    exports: ["
    for subject, importers in sorted(services.items()):
        answers = ", response_type: stream" if subject.startswith(_MANY_ANSWERS) else ""
        yield f'      {{ service: "{subject}", accounts: [{", ".join(importers)}]{answers} }}'
    for subject, importers in sorted(streams.items()):
        yield f'      {{ stream: "{subject}", accounts: [{", ".join(importers)}] }}'
    yield "    ]"


def _imports(members: Iterable[User]) -> Iterator[str]:
    yield "    imports: ["
    for user in members:
        for subject in user.publish:
            yield f'      {{ service: {{ account: {CORE}, subject: "{subject}" }} }}'
        for subject in _heard(user):
            yield f'      {{ stream: {{ account: {CORE}, subject: "{subject}" }} }}'
    yield "    ]"


def _heard(user: User) -> list[str]:
    return [subject for subject in user.subscribe if not subject.startswith("_INBOX")]


def _user(user: User) -> Iterator[str]:
    yield f"      {{ user: {user.name}, password: ${user.password_variable}, permissions: {{"
    for what, allowed in (("publish", user.publish), ("subscribe", user.subscribe)):
        yield f"        {what}: ["
        yield from (f'          "{subject}"' for subject in allowed)
        yield "        ]"
    yield "      } }"
