"""Scopes, the shape of keys, and how often one may ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import ValidationError

from services.gateway import rate_limit
from services.gateway.api_key import LONGEST_DAYS, check_expiry, digest_of, has_shape_of_key, new_secret
from services.gateway.app import make_app
from services.gateway.keys import Keys
from services.gateway.rate_limit import RateLimit, RateLimitedError
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import Wiring
from shared.bus.connection import Bus
from shared.contracts.api_keys import NewApiKey, Scope
from shared.errors import InvalidError
from shared.readiness import Readiness
from tests.scopes import needed_scopes

BUS = Bus("nats://127.0.0.1:1", "gateway")
APP = make_app(GatewaySettings())
NEEDED = needed_scopes()
#: Whoever watches over a gateway has no key.
OPEN = {"GET /api/v3/health", "GET /api/v3/ready", "GET /api/v3/version"}
READING = {Scope.PIPELINES_READ, Scope.RUNS_READ, Scope.ADMIN}
NOW = datetime(2024, 5, 6, tzinfo=UTC)


class HandClock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def operations() -> Iterator[str]:
    for path, methods in APP.openapi()["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)


@pytest.mark.parametrize("name", list(operations()))
def test_every_route_but_the_open_ones_names_one_scope(name: str):
    assert len(NEEDED[name]) == (0 if name in OPEN else 1)


@pytest.mark.parametrize("name", [name for name in operations() if name.startswith("GET") and name not in OPEN])
def test_reading_needs_no_scope_that_changes_anything(name: str):
    assert NEEDED[name] <= READING


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("GET /api/v3/pipelines", Scope.PIPELINES_READ),
        ("POST /api/v3/pipelines", Scope.PIPELINES_WRITE),
        ("DELETE /api/v3/pipelines/{pipeline}", Scope.PIPELINES_WRITE),
        ("POST /api/v3/pipelines/{pipeline}/execute", Scope.RUNS_START),
        ("GET /api/v3/pipeline_runs", Scope.RUNS_READ),
        ("POST /api/v3/pipeline_runs/{run_id}/cancel", Scope.RUNS_CANCEL),
        ("POST /api/v3/pipelines/{pipeline}/webhooks", Scope.PIPELINES_WRITE),
        ("POST /api/v3/pipeline_runs/{run_id}/webhooks", Scope.RUNS_START),
        ("GET /api/v3/webhooks/{webhook_id}/deliveries", Scope.RUNS_READ),
        ("DELETE /api/v3/webhooks/{webhook_id}", Scope.PIPELINES_WRITE),
        ("POST /api/v3/webhook_deliveries/{delivery_id}/resend", Scope.RUNS_START),
        ("GET /api/v3/api_keys", Scope.ADMIN),
        ("POST /api/v3/api_keys", Scope.ADMIN),
        ("GET /api/v3/api_keys/{key_id}", Scope.ADMIN),
        ("DELETE /api/v3/api_keys/{key_id}", Scope.ADMIN),
    ],
)
def test_a_route_needs_the_scope_that_is_promised(name: str, scope: Scope):
    assert NEEDED[name] == {scope}


def test_the_table_knows_the_scopes_that_the_code_knows():
    folder = Path(rate_limit.__file__).parent / "migrations"
    allowed = re.findall(r"scopes <@ ARRAY\[(.*?)\]", (folder / "0001_gateway.sql").read_text(), re.DOTALL)
    assert [set(re.findall(r"'(.*?)'", found)) for found in allowed] == [set(Scope)]


def test_no_two_keys_are_alike_and_each_has_256_random_bits():
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"pw_[A-Za-z0-9_-]{43}", key) and has_shape_of_key(key) for key in made)


def test_what_is_kept_of_a_key_is_its_sha_256():
    assert digest_of("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("text", ["", "pw_", "pw_" + "x" * 42, "pw_" + "x" * 44, "pw_" + "ü" * 43, "x" * 46])
async def test_what_cannot_be_a_key_is_refused_without_a_look_into_the_table(text: str):
    keys = Keys(None, None)  # with a pool it would be asked
    with pytest.raises(Exception, match="API key"):
        await keys.check(f"Bearer {text}")


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "missing_key"),
        ("", "missing_key"),
        ("Bearer", "missing_key"),
        ("Bearer  ", "missing_key"),
        ("Basic the-admin-key", "missing_key"),
        ("the-admin-key", "missing_key"),
        ("Bearer the-admin-kez", "wrong_key"),
    ],
)
async def test_a_missing_key_is_told_from_a_wrong_one(header: str | None, kind: str):
    APP.state.wiring = Wiring(None, None, None, Keys(None, "the-admin-key"), None, Readiness(BUS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.get(
            "/api/v3/pipelines", headers={"authorization": header} if header is not None else None
        )
    assert (answer.status_code, answer.json()["type"]) == (401, kind)


@pytest.mark.parametrize("header", ["Bearer the-admin-key", "bearer  the-admin-key "])
async def test_the_admin_key_of_the_settings_is_taken_and_has_no_id_to_be_limited_by(header: str):
    key = await Keys(None, "the-admin-key").check(header)
    assert (key.id, key.scopes) == (None, {Scope.ADMIN})


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"scopes": ["admin"]}, ("name",)),
        ({"name": "", "scopes": ["admin"]}, ("name",)),
        ({"name": "x" * 201, "scopes": ["admin"]}, ("name",)),
        ({"name": "a\x00b", "scopes": ["admin"]}, ("name",)),
        ({"name": "a\x1b[31mb", "scopes": ["admin"]}, ("name",)),
        ({"name": "line\n", "scopes": ["admin"]}, ("name",)),
        ({"name": "x"}, ("scopes",)),
        ({"name": "x", "scopes": []}, ("scopes",)),
        ({"name": "x", "scopes": "admin"}, ("scopes",)),
        ({"name": "x", "scopes": ["runs:stop"]}, ("scopes", 0)),
        ({"name": "x", "scopes": ["admin"], "expires_at": "tomorrow"}, ("expires_at",)),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2030-01-01T00:00:00"}, ("expires_at",)),
        ({"name": "x", "scopes": ["admin"], "expires": "2030-01-01T00:00:00Z"}, ("expires",)),
    ],
)
def test_a_wrong_wish_is_refused_with_its_place(body: dict[str, object], place: tuple[str | int, ...]):
    with pytest.raises(ValidationError) as caught:
        NewApiKey.model_validate(body)
    assert caught.value.errors()[0]["loc"] == place


@pytest.mark.parametrize(
    "expires_at",
    [
        NOW,
        NOW - timedelta(seconds=1),
        datetime.fromisoformat("0001-01-01T00:00:00+14:00"),
        NOW + timedelta(days=LONGEST_DAYS, seconds=1),
        datetime.fromisoformat("9999-12-31T23:59:59-12:00"),
    ],
    ids=str,
)
def test_a_key_expires_neither_in_the_past_nor_after_ages(expires_at: datetime):
    with pytest.raises(InvalidError, match="/expires_at"):
        check_expiry(NewApiKey(name="x", scopes=frozenset({Scope.ADMIN}), expires_at=expires_at), NOW)


@pytest.mark.parametrize("expires_at", [None, NOW + timedelta(seconds=1), NOW + timedelta(days=LONGEST_DAYS)])
def test_a_key_may_expire_or_not(expires_at: datetime | None):
    check_expiry(NewApiKey(name="x", scopes=frozenset({Scope.ADMIN}), expires_at=expires_at), NOW)


def taken(limit: RateLimit, key: UUID, most: int = 100_000) -> int:
    """How many requests pass at once."""
    for count in range(most):
        try:
            limit.take(key, "tests")
        except RateLimitedError:
            return count
    return most


@pytest.mark.parametrize(("per_s", "burst"), [(0.1, 1), (0.5, 1), (1, 2), (3, 6), (7.5, 15), (100, 200)])
def test_twice_the_rate_passes_at_once(per_s: float, burst: int):
    assert taken(RateLimit(per_s, HandClock()), uuid4()) == burst


def test_an_empty_bucket_fills_at_the_rate():
    clock, key = HandClock(), uuid4()
    limit = RateLimit(10, clock)
    taken(limit, key)
    passed = []
    for wait_s in (0.1, 0.05, 0.05, 1.0, 5.0):
        clock.now_s += wait_s
        passed.append(taken(limit, key))
    assert passed == [1, 0, 1, 10, 20]


def test_who_waits_as_long_as_is_told_is_let_in():
    clock, key = HandClock(), uuid4()
    limit = RateLimit(3, clock)
    taken(limit, key)
    with pytest.raises(RateLimitedError) as caught:
        limit.take(key, "tests")
    wait_s = caught.value.problem.retry_after_s
    assert wait_s == pytest.approx(1 / 3, abs=0.001)
    clock.now_s += wait_s + 0.001
    limit.take(key, "tests")


def test_asking_in_vain_costs_nothing():
    clock, key = HandClock(), uuid4()
    limit = RateLimit(1, clock)
    taken(limit, key)
    for _ in range(1000):
        assert taken(limit, key) == 0
    clock.now_s += 1.0
    assert taken(limit, key) == 1


def test_each_key_has_a_bucket_of_its_own():
    limit = RateLimit(1, HandClock())
    assert [taken(limit, uuid4()) for _ in range(3)] == [2, 2, 2]


def test_zero_is_no_limit():
    assert taken(RateLimit(0, HandClock()), uuid4(), most=10_000) == 10_000


def test_a_refusal_names_the_key_and_what_to_do():
    limit, key = RateLimit(0.5, HandClock()), uuid4()
    limit.take(key, "nightly")
    with pytest.raises(RateLimitedError, match=r"'nightly' may ask 0.5 times a second. Wait as long as Retry-After"):
        limit.take(key, "nightly")


def test_full_buckets_are_forgotten():
    clock = HandClock()
    limit = RateLimit(100, clock)
    for _ in range(10_000):
        limit.take(uuid4(), "tests")
        clock.now_s += 0.001
    assert len(limit) <= 12


def test_there_is_an_end_to_what_is_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_limit, "MOST_BUCKETS", 50)
    limit = RateLimit(0.001, HandClock())
    keys = [uuid4() for _ in range(200)]
    for key in keys:
        limit.take(key, "tests")
    assert len(limit) == 50
    assert [taken(limit, key) for key in keys[-50:]] == [0] * 50


def test_a_rate_that_is_kept_is_never_refused():
    clock, key = HandClock(), uuid4()
    limit = RateLimit(7, clock)
    taken(limit, key)
    for at, then in pairwise(range(10_000)):
        clock.now_s = 1000.0 + then / 7
        limit.take(key, f"request {at}")
