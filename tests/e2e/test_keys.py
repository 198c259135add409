"""API keys from outside: how they are made, live and end, and how often one may ask."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg
import pytest

from services.gateway.keys import BELIEVED_S
from shared.contracts.api_keys import Scope
from tests.e2e.graphs import pipeline, text
from tests.eventually import eventually
from tests.ports import free_port
from tests.stack import API_KEY, PIPEWRIGHT, Stack, clean_environment

Made = dict[str, Any]

#: The second gateway lets a key ask so often a second, and twice that at once.
LIMITED_PER_S = 5


@pytest.fixture(scope="module")
async def second(stack: Stack) -> AsyncIterator[str]:
    """Another gateway beside the first, on the same tables, that limits its keys."""
    addresses, port = stack.status(), free_port()
    environment = {
        "PIPEWRIGHT_NATS_URL": addresses["nats"],
        "PIPEWRIGHT_DATABASE_URL": addresses["postgres"],
        "PIPEWRIGHT_API_KEY": API_KEY,
        "PIPEWRIGHT_PORT": str(port),
        "PIPEWRIGHT_RATE_LIMIT_PER_S": str(LIMITED_PER_S),
    }
    with (stack.data_dir / "logs" / "second-gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            PIPEWRIGHT, "serve", "gateway", env=clean_environment() | environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/api/v3"
    try:
        await eventually(lambda: status(f"{url}/ready") == 200, "the second gateway")
        yield url
    finally:
        process.terminate()
        await process.wait()


def status(url: str, key: str | None = None) -> int | None:
    """None when nobody answers."""
    headers = {"authorization": f"Bearer {key}"} if key is not None else {}
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, headers=headers).status_code
    return None


async def make(api: httpx.AsyncClient, name: str, *scopes: Scope, **more: object) -> Made:
    answer = await api.post("/api_keys", json={"name": name, "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    found: Made = answer.json()
    return found


async def test_a_key_with_two_scopes_starts_and_reads(api: httpx.AsyncClient, stack: Stack) -> None:
    both = await make(api, "both", Scope.RUNS_START, Scope.RUNS_READ)
    headers = {"authorization": f"Bearer {both['key']}"}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers, timeout=60) as caller:
        run = await caller.post("/pipelines/greeting/execute?wait=10", json={"input": {"name": "Ada"}})
        read = await caller.get(f"/pipeline_runs/{run.json()['id']}")
        refused = await caller.post("/pipelines", json=pipeline("not-allowed", [text("say", "no")]))

    assert (run.status_code, read.status_code, refused.status_code) == (200, 200, 403)
    assert refused.headers["content-type"] == "application/problem+json"
    assert "has: runs:read, runs:start" in refused.json()["detail"]


async def test_a_made_key_is_shown_once(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api_keys", json={"name": "once", "scopes": ["runs:read"]})
    made = answer.json()

    one = await api.get(f"/api_keys/{made['id']}")
    listed = await api.get("/api_keys?limit=200")

    assert made["key"].startswith("pw_")
    assert answer.headers["location"] == f"/api/v3/api_keys/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert one.json() == {name: value for name, value in made.items() if name != "key"}
    assert one.json() in listed.json()["keys"]
    assert made["key"] not in one.text + listed.text


async def test_keys_are_listed_in_pages(api: httpx.AsyncClient) -> None:
    made = [(await make(api, f"page {number}", Scope.RUNS_READ))["id"] for number in range(3)]

    first = (await api.get("/api_keys", params={"limit": 2})).json()
    second = (await api.get("/api_keys", params={"limit": 2, "after": first["next_after"]})).json()

    assert [key["id"] for key in first["keys"] + second["keys"]][:3] == made[::-1]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x", "scopes": ["runs:stop"]}, "/scopes/0"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"scopes": ["admin"]}, "/name"),
        ({"name": "a\x00b", "scopes": ["admin"]}, "/name"),
        ({"name": "x", "scopes": ["admin"], "expires": None}, "/expires"),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "scopes": ["admin"], "expires_at": "9999-12-31T23:59:59-12:00"}, "/expires_at"),
    ],
)
async def test_a_wrong_body_is_refused_with_its_place(
    api: httpx.AsyncClient, body: dict[str, object], pointer: str
) -> None:
    answer = await api.post("/api_keys", json=body)

    assert answer.status_code == 422
    assert [found["pointer"] for found in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_key_that_is_not_there_is_not_found(api: httpx.AsyncClient, method: str) -> None:
    answer = await api.request(method, f"/api_keys/{uuid4()}")

    assert (answer.status_code, answer.json()["type"]) == (404, "key_not_found")


async def test_a_revoked_key_ends_here_at_once_and_at_other_gateways_soon(
    api: httpx.AsyncClient, stack: Stack, second: str
) -> None:
    made = await make(api, "to be revoked", Scope.PIPELINES_READ)
    here = f"{stack.gateway}/api/v3/node_types"
    assert [status(url, made["key"]) for url in (here, f"{second}/node_types")] == [200, 200]

    revoked = await api.delete(f"/api_keys/{made['id']}")

    assert (revoked.status_code, status(here, made["key"])) == (204, 401)
    await eventually(
        lambda: status(f"{second}/node_types", made["key"]) == 401, "the end of the key", timeout_s=BELIEVED_S + 1
    )
    assert (await api.delete(f"/api_keys/{made['id']}")).status_code == 204
    assert (await api.get(f"/api_keys/{made['id']}")).json()["revoked_at"] is not None


async def test_an_expired_key_ends_although_it_was_good_a_moment_ago(api: httpx.AsyncClient, stack: Stack) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=2)
    made = await make(api, "short", Scope.PIPELINES_READ, expires_at=expires_at.isoformat())
    url = f"{stack.gateway}/api/v3/node_types"
    assert status(url, made["key"]) == 200

    await eventually(lambda: status(url, made["key"]) == 401, "the end of the key", timeout_s=BELIEVED_S - 1)

    assert datetime.now(UTC) >= expires_at


async def test_last_use_is_told(api: httpx.AsyncClient, stack: Stack) -> None:
    began = datetime.now(UTC)
    made = await make(api, "used", Scope.PIPELINES_READ)
    assert made["last_used_at"] is None
    assert status(f"{stack.gateway}/api/v3/node_types", made["key"]) == 200

    async def last_used() -> str | None:
        found: str | None = (await api.get(f"/api_keys/{made['id']}")).json()["last_used_at"]
        return found

    assert began <= datetime.fromisoformat(str(await eventually(last_used, "the last use"))) <= datetime.now(UTC)


async def test_a_key_is_in_no_table_and_in_no_log(api: httpx.AsyncClient, stack: Stack) -> None:
    made = await make(api, "secret", Scope.PIPELINES_READ)
    by_command = orjson.loads(stack.command("keys", "create", "secret", "--scope", "runs:read", "--json").stdout)
    for key in (made["key"], by_command["key"]):
        status(f"{stack.gateway}/api/v3/node_types", key)
        status(f"{stack.gateway}/api/v3/nowhere", key)
    await api.delete(f"/api_keys/{made['id']}")

    logs = "".join(path.read_text(errors="replace") for path in (stack.data_dir / "logs").glob("*.log"))
    rows = await everything(stack.status()["postgres"], "gateway")
    assert made["id"] in logs
    for key in (made["key"], by_command["key"]):
        digest = hashlib.sha256(key.encode()).hexdigest()
        assert digest in rows
        assert key.removeprefix("pw_") not in rows + logs
        assert digest not in logs


async def everything(database_url: str, schema: str) -> str:
    """All rows of all tables of a schema."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        tables = [row[0] for row in await found.fetchall()]
        texts = []
        for table in tables:
            rows = await connection.execute(
                psycopg.sql.SQL("SELECT row::text FROM {} AS row").format(psycopg.sql.Identifier(schema, table))
            )
            texts += [row[0] for row in await rows.fetchall()]
    return "\n".join(texts)


async def test_a_key_over_its_limit_waits_as_long_as_it_is_told(api: httpx.AsyncClient, second: str) -> None:
    made = await make(api, "eager", Scope.PIPELINES_READ)
    other = await make(api, "calm", Scope.PIPELINES_READ)
    async with httpx.AsyncClient(timeout=60, headers={"authorization": f"Bearer {made['key']}"}) as eager:
        answers = await asyncio.gather(*(eager.get(f"{second}/node_types") for _ in range(40)))

        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        # Twice the rate at once, and what came in again meanwhile.
        assert 2 * LIMITED_PER_S <= len(answers) - len(refused) < 40
        for answer in refused:
            problem = answer.json()
            assert (problem["type"], problem["status"]) == ("too_many_requests", 429)
            assert 0 < problem["retry_after_s"] <= 1
            assert answer.headers["retry-after"] == "1"
            assert "'eager' may ask 5 times a second" in problem["detail"]
        assert status(f"{second}/node_types", other["key"]) == 200
        await eventually(lambda: status(f"{second}/node_types", made["key"]) == 200, "another request", timeout_s=5)


async def test_the_admin_key_of_the_settings_has_no_limit(second: str) -> None:
    async with httpx.AsyncClient(timeout=60, headers={"authorization": f"Bearer {API_KEY}"}) as admin:
        answers = await asyncio.gather(*(admin.get(f"{second}/node_types") for _ in range(40)))

    assert {answer.status_code for answer in answers} == {200}


def test_a_key_by_the_command_line_needs_no_other_key(stack: Stack) -> None:
    done = stack.command(
        "keys", "create", "nightly [b]", "--scope", "pipelines:read", "--scope", "runs:read", "--expires-in-days", "7"
    )

    assert done.returncode == 0, done.stderr
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:4])
    assert status(f"{stack.gateway}/api/v3/node_types", shown["key"]) == 200
    assert shown["scopes"] == "pipelines:read runs:read"
    expires_at = datetime.strptime(shown["expires"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert timedelta(days=6, hours=23) < expires_at - datetime.now(UTC) <= timedelta(days=7)
    assert done.stdout.count(shown["key"]) == 1
    listed = stack.command("keys", "list")
    assert "nightly [b]" in listed.stdout
    assert shown["id"] in listed.stdout
    assert shown["key"] not in listed.stdout


async def test_a_key_lives_and_ends_by_the_command_line(stack: Stack) -> None:
    made = orjson.loads(
        stack.command("keys", "create", "by hand", "--scope", "admin", "--scope", "admin", "--json").stdout
    )
    assert made["scopes"] == ["admin"]
    url = f"{stack.gateway}/api/v3/api_keys/{made['id']}"
    assert status(url, made["key"]) == 200

    revoked = stack.command("keys", "revoke", made["id"])

    assert revoked.returncode == 0
    assert f"key {made['id']} (by hand) was revoked at " in revoked.stdout
    await eventually(lambda: status(url, made["key"]) == 401, "the end of the key", timeout_s=BELIEVED_S + 1)
    listed = {key["id"]: key for key in orjson.loads(stack.command("keys", "list", "--json").stdout)}
    assert listed[made["id"]]["revoked_at"] is not None
    assert all("key" not in key and "sha256" not in key for key in listed.values())
    assert [UUID(key_id) for key_id in listed] == sorted(map(UUID, listed), reverse=True)


def test_a_key_that_is_not_there_cannot_be_revoked_by_the_command_line(stack: Stack) -> None:
    key_id = str(uuid4())

    done = stack.command("keys", "revoke", key_id)

    assert done.returncode == 4
    assert f"there is no key {key_id}" in done.stderr


def test_a_database_without_tables_is_told_with_what_to_do(stack: Stack) -> None:
    url = stack.status()["postgres"].removesuffix("/pipewright") + "/postgres"
    if url.endswith("/pipewright/postgres"):
        pytest.skip("this server has another name for its database")
    other = Stack(stack.data_dir, {"PIPEWRIGHT_DATABASE_URL": url})

    done = other.command("keys", "list")

    assert (done.returncode, "Run 'pipewright migrate'" in done.stderr) == (5, True)
