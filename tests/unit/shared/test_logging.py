"""Logs: one line an event, ids as fields, and no credentials, whoever writes the line."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import orjson
import pytest
import structlog

from shared.logging import configure_logging, get_logger, redact_text

SECRET = "s3cret"


class Told:
    """What was logged, as the service tells it on standard error."""

    def __init__(self) -> None:
        self._stream = io.StringIO()

    def configure(self, **how: str) -> Any:
        """A logger under this configuration."""
        with redirect_stderr(self._stream):
            configure_logging("tested", **how)
        return get_logger("tests")

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text.splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        (only,) = self.lines
        return only


@pytest.fixture
def told() -> Iterator[Told]:
    """What a test configures is taken back."""
    root, config = logging.getLogger(), structlog.get_config()
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "uvicorn.access", "faststream")}
    handlers, level = list(root.handlers), root.level
    yield Told()
    root.handlers, root.level = handlers, level
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**config)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(told: Told) -> Any:
    return told.configure()


def test_a_line_has_its_event_its_fields_and_its_service(log: Any, told: Told):
    log.info("run started", run_id="r", node_key="a")
    line = told.line
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "run started", "level": "info", "service": "tested", "run_id": "r", "node_key": "a"}


@pytest.mark.parametrize(
    "name", ["password", "authorization", "Authorization", "api_key", "apikey", "client_secret", "token", "x_token"]
)
def test_a_field_with_the_name_of_a_secret_is_blotted_out(log: Any, told: Told, name: str):
    log.info("connected", **{name: SECRET})
    line = told.line
    assert line[name] == "***"


@pytest.mark.parametrize("name", ["tokens", "token_count", "secretary", "node_key", "key"])
def test_other_fields_are_left_as_they_are(log: Any, told: Told, name: str):
    log.info("counted", **{name: "7"})
    line = told.line
    assert line[name] == "7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://user:s3cret@nats:4222", "nats://***@nats:4222"),
        ("nats://s3cret@nats:4222", "nats://***@nats:4222"),
        ("postgresql://u:s3@cret@host/db?x=a@b", "postgresql://***@host/db?x=a@b"),
        ("tried nats://u:s3cret@a:1,nats://u:s3cret@b:2 in vain", "tried nats://***@a:1,nats://***@b:2 in vain"),
        ("https://host/path@1?mail=a@b", "https://host/path@1?mail=a@b"),
        ("https://host?mail=a@b", "https://host?mail=a@b"),
        ("write to a@b", "write to a@b"),
        ("", ""),
    ],
)
def test_credentials_in_urls_are_blotted_out(text: str, shown: str):
    assert redact_text(text) == shown


def test_credentials_are_blotted_out_of_events_fields_and_exceptions(log: Any, told: Told):
    url = f"nats://user:{SECRET}@nats:4222"
    try:
        raise ConnectionError(f"no answer from {url}")
    except ConnectionError:
        log.exception(f"could not connect to {url}", server=url)
    line = told.line
    assert "no answer from nats://***@nats:4222" in line["exception"]
    assert (line["event"], line["server"]) == ("could not connect to nats://***@nats:4222", "nats://***@nats:4222")
    assert SECRET not in str(line)


def test_what_libraries_log_is_a_line_like_ours(log: Any, told: Told):
    url = f"nats://user:{SECRET}@nats:4222"
    try:
        raise ConnectionError(url)
    except ConnectionError:
        logging.getLogger("some.library").warning("lost %s", url, exc_info=True)
    line = told.line
    assert (line["event"], line["level"], line["service"]) == ("lost nats://***@nats:4222", "warning", "tested")
    assert "ConnectionError: nats://***@nats:4222" in line["exception"]
    assert SECRET not in str(line)


def test_libraries_that_log_every_request_are_quiet(log: Any, told: Told):
    logging.getLogger("httpx").info("HTTP Request: GET https://host?key=s3cret")
    logging.getLogger("httpcore.connection").debug("connect_tcp.started host=...")
    logging.getLogger("httpx").warning("told")
    assert [line["event"] for line in told.lines] == ["told"]


@pytest.mark.parametrize(("level", "events"), [("WARNING", ["b"]), ("INFO", ["a", "b"]), ("DEBUG", ["z", "a", "b"])])
def test_the_level_says_what_is_told(told: Told, level: str, events: list[str]):
    log = told.configure(level=level)
    log.debug("z")
    log.info("a")
    log.warning("b")
    assert [line["event"] for line in told.lines] == events


def test_lines_for_people_blot_out_secrets_too(told: Told):
    told.configure(form="console").info("run started", run_id="r", password=SECRET, url=f"nats://u:{SECRET}@h")
    assert "run started" in told.text
    assert "run_id=r" in told.text
    assert SECRET not in told.text
    assert told.text.count("\n") == 1
