"""Far more starts than the system can carry, by every way in; open loop: asked on time, whatever the answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.clock import new_id
from shared.contracts import subjects

SLUG = "small"
#: What one process of tests can ask a second by REST, beside all else.
MOST_BY_REST = 60.0
#: Of the capacity: all that the stream takes has to be done afterwards.
PART_BY_STREAM = 0.2


@dataclass
class Flood:
    """What was asked, and how it was answered, by the way in."""

    client: Client
    http: httpx.AsyncClient
    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    #: Runs that were promised.
    accepted: set[str] = field(default_factory=set)
    #: Answers that no service may give.
    bad: list[str] = field(default_factory=list)
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, capacity: float, times: float, seconds: float) -> None:
        """Until everything was asked; the answers may still be on their way."""
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(self._inbox, cb=self._heard)
        rates = {
            "reply": capacity * times,
            "rest": min(capacity, MOST_BY_REST),
            "stream": capacity * PART_BY_STREAM,
        }
        await asyncio.gather(*(self._keep_asking(way, rate, seconds) for way, rate in rates.items()))
        await self.client.flush()

    def is_answered(self) -> bool:
        return self.answers.total() == self.sent.total()

    async def _keep_asking(self, way: str, rate: float, seconds: float) -> None:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            while self.sent[way] < passed * rate:
                self.sent[way] += 1
                if way == "reply":
                    await self.client.publish(subjects.RUNS_START, _request(), reply=self._inbox)
                else:
                    task = asyncio.create_task(self._by_rest() if way == "rest" else self._by_stream())
                    self._asking.add(task)
                    task.add_done_callback(self._asking.discard)
            await asyncio.sleep(0.002)

    async def _heard(self, message: Msg) -> None:
        answer = orjson.loads(message.data)
        if "run_id" in answer:
            self.accepted.add(answer["run_id"])
            self.answers["reply: accepted"] += 1
            return
        error = answer["error"]
        self.answers[f"reply: {error['type']}"] += 1
        if error["status"] not in (429, 503) or not error.get("retry_after_s"):
            self.bad.append(str(error))

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
