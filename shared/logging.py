"""Structured logs: one line an event, in the past tense, ids as fields, credentials blotted out."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

#: user:password@ in any URL.
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]+@")
_SECRET_NAME = re.compile(r"(authorization|api_?key|password|secret|token)$", re.IGNORECASE)


def redact_text(text: str) -> str:
    """The text without credentials in URLs."""
    return _URL_CREDENTIALS.sub("***@", text)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_NAME.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = redact_text(value)
    return event


def configure_logging(service: str, level: str = "INFO", form: str = "json") -> None:
    """Send our own and the libraries' logs to standard error, as JSON lines or for people."""
    shared_steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        # The level is asked for at each line, since a signal may change it.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared_steps,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_steps,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for quiet in ("httpx", "httpcore", "uvicorn.access", "faststream"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def toggle_debug_on_signal() -> None:
    """From now on SIGUSR1 lets this process tell everything, and the next one only what it is set to.

    To be called in the event loop; until then the signal is ignored if `ignore_level_signal` was called.
    """
    usual = logging.getLogger().level

    def toggle() -> None:
        root, log = logging.getLogger(), get_logger(__name__)
        if root.level == logging.DEBUG:
            log.info("log level is set back", level_now=logging.getLevelName(usual))
            root.setLevel(usual)
        else:
            root.setLevel(logging.DEBUG)
            log.info("log level is raised by a signal", level_now="DEBUG")

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, toggle)


def ignore_level_signal() -> None:
    """Without a handler SIGUSR1 would end the process, also while it starts."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
