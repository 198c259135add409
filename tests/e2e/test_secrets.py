"""Credentials stand in no result, no log line and no message of the command line."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import httpx
from nats.aio.msg import Msg

from shared.client import PipewrightClient
from shared.contracts import subjects
from tests.e2e.conftest import MODEL_USER
from tests.e2e.graphs import edge, fetch, pipeline
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.stack import API_KEY, Stack


async def test_credentials_are_in_no_result_and_no_log(api: httpx.AsyncClient, stack: Stack, ledger: Ledger) -> None:
    node = {
        "key": "call",
        "type": "http_request",
        "config": {
            "url": f"http://user:hunter2secret@127.0.0.1:{ledger.port}/status/403/secret?token=querysecret",
            "headers": {"authorization": "Bearer headersecret"},
        },
    }
    await api.post("/pipelines", json=pipeline("with-secrets", [node]))
    await api.post("/pipelines/with-secrets/publish")

    run = (await api.post("/pipelines/with-secrets/execute?wait=20", json={})).json()

    assert run["status"] == "failed"
    found = (await api.get(f"/pipeline_runs/{run['id']}?include=node_results")).text
    logs = "".join(path.read_text(errors="replace") for path in (stack.data_dir / "logs").glob("*.log"))
    for secret in ("hunter2secret", "querysecret", "headersecret", "cookie-of-the-other-side"):
        assert secret not in found
        assert secret not in logs
    passwords = [stack.status()["nats"].split(":")[2].split("@")[0], API_KEY]
    assert all(password not in logs for password in passwords)


async def test_credentials_that_the_other_side_quotes_in_its_refusal_are_told_nowhere(
    api: httpx.AsyncClient, client: PipewrightClient, stack: Stack, ledger: Ledger
) -> None:
    call = {
        "url": f"http://user:hunter3secret@127.0.0.1:{ledger.port}/quote/400/quoted?token=querysecret3",
        "method": "POST",
        "headers": {"authorization": "Bearer headersecret3", "x-api-key": "keysecret3"},
        "body": "I say so",
    }
    nodes = [
        {"key": "call", "type": "http_request", "config": call, "on_error": "continue"},
        {"key": "ask", "type": "llm", "config": {"provider": "ledger", "model": "quoting", "prompt": "Who am I?"}},
    ]
    # One after the other: a run that fails ends what goes on beside it.
    await api.post("/pipelines", json=pipeline("quoted", nodes, [edge("call", "ask")]))
    await api.post("/pipelines/quoted/publish")
    events: list[bytes] = []

    async def hear(message: Msg) -> None:
        events.append(message.data)

    await client.nats.subscribe(subjects.ALL_RUN_EVENTS, cb=hear)

    run = (await api.post("/pipelines/quoted/execute?wait=20", json={})).json()

    assert run["status"] == "failed"
    path = f"/pipeline_runs/{run['id']}"
    await eventually(lambda: any(b'"failed"' in one and run["id"].encode() in one for one in events), "the last event")
    told = [(await api.get(f"{path}{more}")).text for more in ("", "?include=node_results", "/events", "/node_results")]
    told += [one.decode() for one in events]
    told += [log.read_text(errors="replace") for log in (stack.data_dir / "logs").glob("*.log")]
    # What was refused is told, with the quoted words around the secrets.
    assert "I say so" in told[1]
    assert "I refuse" in told[1]
    encoded = b64encode(MODEL_USER.encode()).decode()
    for secret in ("hunter3secret", "querysecret3", "headersecret3", "keysecret3", "providersecret", encoded):
        assert [words for words in told if secret in words] == []


async def test_cookies_of_the_other_side_are_not_kept(api: httpx.AsyncClient, ledger: Ledger) -> None:
    nodes = [fetch("call", f"{ledger.url}/echo/all/cookies")]
    await api.post("/pipelines", json=pipeline("cookies", nodes))
    await api.post("/pipelines/cookies/publish")

    for _ in range(2):
        run = (await api.post("/pipelines/cookies/execute?wait=20", json={})).json()
        output = run["output"]["call"]
        assert "set-cookie" not in output["headers"]
        assert "cookie" not in output["body"]["headers"]


def test_files_with_secrets_are_readable_by_their_user_alone(stack: Stack) -> None:
    files = [path for path in Path(stack.data_dir).iterdir() if path.suffix == ".json"]

    assert {path.name for path in files} >= {"state.json", "status.json"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert Path(stack.data_dir).stat().st_mode & 0o077 == 0
