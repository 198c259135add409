"""Far more starts than the system can carry, by every way in; open loop: asked on time, whatever the answers,
as far as the server takes it.

A process of its own, so that nothing else keeps it from being on time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client

from shared.bus.address import connect
from shared.clock import new_id
from shared.contracts import subjects
from shared.logging import configure_logging
from tests.eventually import eventually
from tests.faults.plain_nats import PlainRequests, plain_requests
from tests.stack import API_KEY

SLUG = "small"
#: What one process of tests can ask a second by REST, beside all else.
MOST_BY_REST = 60.0
#: Without an answer yet, by REST and by the stream; with thousands httpx does little else than count them.
MOST_ASKING = 100
#: Of the capacity: all that the stream takes has to be done afterwards.
PART_BY_STREAM = 0.2
#: Every request has its answer by then.
ANSWERED_WITHIN_S = 60.0


def rates_of(capacity: float, times: float) -> dict[str, float]:
    """Requests a second, by the way in."""
    return {"reply": capacity * times, "rest": min(capacity, MOST_BY_REST), "stream": capacity * PART_BY_STREAM}


@dataclass
class Flood:
    """What was asked, and how it was answered, by the way in."""

    client: Client
    requests: PlainRequests
    http: httpx.AsyncClient
    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    #: Runs that were promised.
    accepted: set[str] = field(default_factory=set)
    #: Answers that no service may give.
    bad: list[str] = field(default_factory=list)
    _refusals: dict[bytes, str] = field(default_factory=dict)
    _asking: dict[str, set[asyncio.Task[None]]] = field(default_factory=lambda: defaultdict(set))

    async def run(self, rates: dict[str, float], seconds: float) -> float:
        """Until everything was asked; the answers may still be on their way. Returns how many seconds it took."""
        begun = time.monotonic()
        await asyncio.gather(*(self._keep_asking(way, rate, seconds) for way, rate in rates.items()))
        return time.monotonic() - begun

    def is_answered(self) -> bool:
        return self.answers.total() == self.sent.total()

    async def _keep_asking(self, way: str, rate: float, seconds: float) -> None:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * rate) - self.sent[way]
            if way == "reply":
                self.sent[way] += self.requests.ask(due)
            else:
                asking = self._asking[way]
                for _ in range(min(due, MOST_ASKING - len(asking))):
                    self.sent[way] += 1
                    task = asyncio.create_task(self._by_rest() if way == "rest" else self._by_stream())
                    asking.add(task)
                    task.add_done_callback(asking.discard)
            await asyncio.sleep(0.002)

    def heard(self, answer: bytes) -> None:
        """Refusals are all alike, and told apart by their bytes."""
        refused = self._refusals.get(answer)
        if refused is None:
            refused = self._read(answer)
        self.answers[f"reply: {refused}"] += 1

    def _read(self, answer: bytes) -> str:
        told = orjson.loads(answer)
        if "run_id" in told:
            self.accepted.add(told["run_id"])
            return "accepted"
        error = told["error"]
        if error["status"] not in (429, 503) or not error.get("retry_after_s"):
            self.bad.append(str(error))
        self._refusals[answer] = str(error["type"])
        return self._refusals[answer]

    async def _by_rest(self) -> None:
        try:
            answer = await self.http.post(f"/pipelines/{SLUG}/execute", json={"input": {}})
        except httpx.TransportError as error:
            # Nothing was promised; a server that is full may also not listen.
            self.answers[f"rest: {type(error).__name__}"] += 1
            return
        self.answers[f"rest: {answer.status_code}"] += 1
        if answer.status_code == 202:
            self.accepted.add(answer.json()["id"])
        elif answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
            self.bad.append(f"{answer.status_code} {answer.text}")

    async def _by_stream(self) -> None:
        run_id = str(new_id())
        try:
            await self.client.jetstream().publish(subjects.RUN_REQUEST, _request(run_id), timeout=30)
        except (nats.errors.Error, nats.js.errors.Error) as error:
            self.answers[f"stream: {type(error).__name__}"] += 1
        else:
            self.accepted.add(run_id)
            self.answers["stream: accepted"] += 1


def _request(run_id: str | None = None) -> bytes:
    return orjson.dumps({"pipeline": SLUG, "input": {}} | ({"run_id": run_id} if run_id else {}))


class Flooding:
    """The process, seen from the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def asked(self) -> float:
        """Until it has asked everything; returns in how many seconds."""
        return float(await self._line())

    async def report(self) -> dict[str, Any]:
        """Its `sent`, `answers`, `accepted` and `bad`, when each request has its answer."""
        report: dict[str, Any] = await self._line()
        return report

    async def _line(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the flood ended before its time"
        return orjson.loads(line)


@asynccontextmanager
async def flooding(nats_url: str, api: str, capacity: float, times: float, seconds: float) -> AsyncIterator[Flooding]:
    """Begun at once, and ended with all that it asks when it is left."""
    numbers = [str(number) for number in (capacity, times, seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, nats_url, api, *numbers, stdout=asyncio.subprocess.PIPE, limit=1 << 28
    )
    try:
        yield Flooding(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def flood(arguments: argparse.Namespace) -> None:
    client = await connect(arguments.nats_url)
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with (
        httpx.AsyncClient(base_url=arguments.api, headers=headers, timeout=60) as http,
        plain_requests(arguments.nats_url, subjects.RUNS_START, _request()) as requests,
    ):
        made = Flood(client, requests, http)
        requests.on_answer(made.heard)
        _say(await made.run(rates_of(arguments.capacity, arguments.times), arguments.seconds))
        await eventually(made.is_answered, "an answer to each request", timeout_s=ANSWERED_WITHIN_S)
    await client.close()
    _say({"sent": made.sent, "answers": made.answers, "accepted": sorted(made.accepted), "bad": made.bad[:100]})


def _say(words: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(words) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nats_url")
    parser.add_argument("api")
    for name in ("capacity", "times", "seconds"):
        parser.add_argument(name, type=float)
    # What is reported stands alone on the other stream.
    configure_logging("flood", "WARNING", "console")
    asyncio.run(flood(parser.parse_args()))
