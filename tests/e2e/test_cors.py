"""Pages of other origins: a browser asks first, and is let through from those that the settings name."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import ORIGIN
from tests.e2e.graphs import pipeline, text
from tests.stack import API_KEY, Stack

STRANGER = "https://elsewhere.example.com"


def preflight(stack: Stack, origin: str, method: str, *headers: str) -> httpx.Response:
    """As browsers send it: without a key."""
    asked = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": ", ".join(headers),
    }
    return httpx.options(f"{stack.gateway}/api/v3/pipelines/greeting", headers=asked)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_named_origin_may_send_what_the_interface_takes(stack: Stack, method: str) -> None:
    answer = preflight(stack, ORIGIN, method, "authorization", "content-type", "if-match", "idempotency-key")

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method in answer.headers["access-control-allow-methods"]
    assert {"authorization", "if-match"} <= set(answer.headers["access-control-allow-headers"].lower().split(", "))


def test_another_origin_is_refused(stack: Stack) -> None:
    answer = preflight(stack, STRANGER, "GET", "authorization")

    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


async def test_an_answer_shows_a_named_origin_its_headers_and_another_nothing(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {API_KEY}", "origin": ORIGIN}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v3", headers=headers) as page:
        made = await page.post("/pipelines", json=pipeline("from-a-page", [text("a", "x")]))
        refused = await page.get("/pipelines/no-such-pipeline")
        strange = await page.get("/pipelines/from-a-page", headers={"origin": STRANGER})

    assert (made.status_code, refused.status_code, strange.status_code) == (201, 404, 200)
    assert made.headers["access-control-allow-origin"] == ORIGIN
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert {"ETag", "Location", "Retry-After"} <= set(made.headers["access-control-expose-headers"].split(", "))
    assert "access-control-allow-origin" not in strange.headers
