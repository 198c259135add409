"""Request and reply: the answer is the resource, or `{"error": problem details}`; size does not matter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import BaseModel, ValidationError

from shared.bus.arrivals import subscribe
from shared.bus.flushing import flush, unsubscribe
from shared.bus.inbox import Inbox
from shared.bus.transfers import MESSAGE_LIMIT, TransferError, Transfers
from shared.bus.wire import NOT_WRITTEN, command, write
from shared.contracts.message import Message, TransferRef
from shared.contracts.problems import FieldProblem, Problem, pointer_to
from shared.contracts.runs import ProblemReply
from shared.errors import InvalidError, ServiceError, UnavailableError, reported, unknown_field, words_of
from shared.logging import get_logger

log = get_logger(__name__)

#: Set on a message whose body is a TransferRef.
TRANSFER_HEADER = "Pipewright-Transfer"
#: What large bodies go through, as refusals call it.
TRANSFERS = "the object store 'transfers'"
#: A caller waits no longer, unless it says so.
DEFAULT_TIMEOUT_S = 10.0

#: Requests that are being answered on one subject; more than the coordinator lets wait, which tells why.
MOST_AT_ONCE = 1200
_BUSY = UnavailableError("overloaded", "Too many requests come at once. Try again in a few seconds.", retry_after_s=2.0)
OVERLOADED = ProblemReply(error=_BUSY.problem).model_dump_json().encode()

Reply = TypeVar("Reply", bound=BaseModel)
Handler = Callable[[Any], Awaitable["BaseModel | PlainReply"]]


@dataclass(frozen=True)
class PlainReply:
    """An answer as plain JSON values: ours, so they are not checked again."""

    value: Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """What answers on a subject: the message it takes, and the function that answers it."""

    request: type[Message]
    handler: Handler


class Rpc:
    """Asks other services, and answers them."""

    def __init__(self, client: Client, transfers: Transfers) -> None:
        self._client = client
        self._transfers = transfers
        self._inbox = Inbox(client)
        #: Answers that are being made, by subject.
        self._running: dict[str, set[asyncio.Task[None]]] = {}
        self._subscriptions: list[Subscription] = []

    async def call(
        self, subject: str, request: BaseModel, reply: type[Reply], timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Reply:
        """The answer; raises ProblemError with the other side's problem, UnavailableError when it cannot be had now."""
        return reply.model_validate(await self.call_raw(subject, request, timeout_s))

    async def call_raw(self, subject: str, request: BaseModel, timeout_s: float = DEFAULT_TIMEOUT_S) -> Any:
        """The answer as plain JSON values."""
        try:
            body, headers = await self._pack(request.model_dump_json(exclude_none=True).encode())
            answer = await self._inbox.ask(subject, body, timeout_s, headers)
            found = orjson.loads(await self._unpack(answer))
        except (nats.errors.NoRespondersError, TimeoutError) as error:
            raise _unavailable(subject) from error
        except NOT_WRITTEN as error:
            raise _unavailable("NATS") from error
        if isinstance(found, dict) and isinstance(found.get("error"), dict) and len(found) == 1:
            raise reported(Problem.model_validate(found["error"]))
        return found

    async def serve(self, endpoints: Mapping[str, Endpoint], queue: str) -> None:
        """Answer on every subject, each request in its own task; replicas share the requests.

        Past so many at once on a subject they are refused unread, which costs next to nothing.
        """
        for subject, endpoint in endpoints.items():
            running = self._running.setdefault(subject, set())

            take = partial(self._take, endpoint, running)
            self._subscriptions.append(await subscribe(self._client, subject, take, queue=queue, reads_headers=True))
        with suppress(nats.errors.Error):
            # Whoever is told that this service is ready finds it.
            await flush(self._client)

    def _take(self, endpoint: Endpoint, running: set[asyncio.Task[None]], message: Msg) -> None:
        is_refused = len(running) >= MOST_AT_ONCE
        task = asyncio.create_task(self._refuse(message) if is_refused else self._answer(message, endpoint))
        running.add(task)
        task.add_done_callback(running.discard)

    async def stop(self) -> None:
        """Take no more requests, so that other replicas answer them; what was delivered gets its answer."""
        await unsubscribe(self._client, self._subscriptions)
        self._subscriptions.clear()

    async def drain(self) -> None:
        """Stop, and wait for the answers that are being made."""
        await self.stop()
        if tasks := set[asyncio.Task[None]]().union(*self._running.values()):
            await asyncio.wait(tasks, timeout=10)

    async def _refuse(self, message: Msg) -> None:
        if message.reply:
            with suppress(*NOT_WRITTEN):
                write(self._client, [command(message.reply, OVERLOADED)])

    async def _answer(self, message: Msg, endpoint: Endpoint) -> None:
        try:
            body = await self._unpack(message)
            answer: BaseModel | PlainReply = await endpoint.handler(endpoint.request.model_validate_json(body))
        except ServiceError as error:
            answer = ProblemReply(error=error.problem)
        except ValidationError as error:
            answer = ProblemReply(error=invalid_body(error).problem)
        except Exception:
            log.exception("a request failed", subject=message.subject)
            answer = ProblemReply(error=_internal())
        if message.reply:
            await self._send(message, answer)

    async def _send(self, message: Msg, answer: BaseModel | PlainReply) -> None:
        """What cannot be sent is told in its place, as far as NATS is there."""
        try:
            reply, headers = await self._reply(message.subject, answer)
            write(self._client, [command(message.reply, reply, headers=headers)])
        except NOT_WRITTEN as error:
            log.warning("an answer could not be sent", subject=message.subject, error=words_of(error))

    async def _reply(self, subject: str, answer: BaseModel | PlainReply) -> tuple[bytes, dict[str, str] | None]:
        """An answer that is too large for now, or that is no JSON, becomes a small one that says so."""
        try:
            return await self._pack(_as_json(answer))
        except UnavailableError as error:
            problem = error.problem
        except TypeError:
            log.exception("an answer could not be written", subject=subject)
            problem = _internal()
        return await self._pack(_as_json(ProblemReply(error=problem)))

    async def _pack(self, body: bytes) -> tuple[bytes, dict[str, str] | None]:
        """Raises UnavailableError for a large body while JetStream is away."""
        if len(body) <= MESSAGE_LIMIT:
            return body, None
        try:
            reference = await self._transfers.put(body)
        except (nats.errors.Error, TimeoutError) as error:
            raise _unavailable(TRANSFERS) from error
        return reference.model_dump_json().encode(), {TRANSFER_HEADER: "1"}

    async def _unpack(self, message: Msg) -> bytes:
        """Raises UnavailableError for a large body that cannot be had now."""
        if not message.headers or TRANSFER_HEADER not in message.headers:
            return message.data
        try:
            return await self._transfers.get(TransferRef.model_validate_json(message.data))
        except TransferError as error:
            raise _unavailable(TRANSFERS) from error


def _as_json(answer: BaseModel | PlainReply) -> bytes:
    if isinstance(answer, PlainReply):
        return orjson.dumps(answer.value)
    return answer.model_dump_json().encode()


def invalid_body(error: ValidationError, known: Sequence[str] = ()) -> InvalidError:
    """Every finding of a validation, each with its place as a JSON pointer; `known` are the fields at the top."""
    findings = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        place = [str(part) for part in item["loc"]]
        is_unknown = item["type"] == "extra_forbidden" and len(place) == 1
        detail = unknown_field(place[0], list(known)) if is_unknown else item["msg"]
        findings.append(FieldProblem(pointer=pointer_to(place), detail=detail))
    first = findings[0]
    return InvalidError(
        "invalid_body",
        f"{first.pointer or 'the body'}: {first.detail}. Correct it and send it again.",
        findings,
    )


def _unavailable(subject: str) -> UnavailableError:
    return UnavailableError(
        "service_unavailable",
        f"Nobody answers on {subject} now. Try again in a few seconds; 'pipewright doctor' shows what is down.",
        retry_after_s=2.0,
    )


def _internal() -> Problem:
    return Problem(
        type="internal_error",
        title="Internal error",
        status=500,
        detail="The service could not answer because of a fault of its own. Its log says more.",
    )
