"""Every request is counted, also one that is refused before a route is looked for."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import REGISTRY

from services.gateway.app import make_app
from services.gateway.settings import GatewaySettings
from shared.contracts.rest import PREFIX

APP = make_app(GatewaySettings())
OURS = "application/vnd.api+json"


def counted(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("pipewright_http_request_seconds_count", labels) or 0.0


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/health?odd=1", {"accept": OURS}, 400),
        ("GET", "/health", {"accept": f"{OURS};charset=utf-8"}, 406),
        ("POST", "/pipelines", {"content-type": f"{OURS};charset=utf-8"}, 415),
    ],
)
async def test_what_jsonapi_refuses_is_counted(method: str, path: str, headers: dict[str, str], status: int):
    before = counted(method, "none", "4xx")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.request(method, PREFIX + path, headers=headers)
    assert (answer.status_code, counted(method, "none", "4xx") - before) == (status, 1)


async def test_what_is_asked_for_as_jsonapi_is_counted_by_its_route():
    before = counted("GET", "/health", "2xx")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        await client.get(f"{PREFIX}/health", headers={"accept": OURS})
    assert counted("GET", "/health", "2xx") - before == 1
