"""Runs one service in this process: the one place that knows them all."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any

from shared.bus.address import AddressError, read_address
from shared.logging import configure_logging, ignore_level_signal
from shared.settings import CommonSettings, SettingsError, describe, read_settings

#: Allocations between two collections of the youngest objects, and so on for older ones.
COLLECT_AFTER = (50_000, 20, 20)

SERVICES = ("gateway", "definition", "coordinator", "worker")

#: Imported before the services of a local stack are forked, so that they share it.
PRELOADED = (
    "services.coordinator.app",
    "services.definition.app",
    "services.gateway.app",
    "services.executors.app",
    "services.executors.text.node",
    "services.executors.condition.node",
    "services.executors.transform.node",
    "services.executors.http_request.node",
    "services.executors.webhook.node",
    "services.executors.llm.node",
    "services.demo.model",
    "services.demo.api",
    "services.cli.setup",
    "services.cli.welcome",
    "uvloop",
)


def run_service_process(
    service: str, node_types: Sequence[str] = (), on_ready: Callable[[], None] = lambda: None
) -> None:
    """Until a signal; settings come from the environment. Ends with status 2 when they are wrong."""
    import uvloop

    # Messages make and drop many small objects; by default a tenth of the time would go into looking for cycles.
    gc.set_threshold(*COLLECT_AFTER)
    ignore_level_signal()
    try:
        uvloop.run(_make(service, node_types, on_ready))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  # there may be no log yet
        raise SystemExit(2) from None


def _make(service: str, node_types: Sequence[str], on_ready: Callable[[], None]) -> Coroutine[Any, Any, None]:
    package = "executors" if service == "worker" else service
    settings = read_service_settings(package)
    configure_logging(service, settings.log_level, settings.log_format)
    app = import_module(f"services.{package}.app")
    if service == "worker":
        main: Coroutine[Any, Any, None] = app.run(settings, node_types, on_ready)
    else:
        main = app.run(settings, on_ready)
    return main


def read_service_settings(package: str, **given: Any) -> CommonSettings:
    """Of a service, by the name of its package; what is given wins over the environment. Raises SettingsError."""
    settings = read_settings(settings_of(package), **given)
    try:
        read_address(settings.nats_url)
    except AddressError as error:
        raise SettingsError(describe(type(settings), "nats_url", str(error))) from error
    return settings


def settings_of(package: str) -> type[CommonSettings]:
    """The kind of settings of a service, by the name of its package."""
    kinds = {
        "gateway": "GatewaySettings",
        "definition": "DefinitionSettings",
        "coordinator": "CoordinatorSettings",
        "executors": "ExecutorSettings",
    }
    kind: type[CommonSettings] = getattr(import_module(f"services.{package}.settings"), kinds[package])
    return kind


def run_demo(module: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve one of the demo servers on loopback."""
    import uvloop

    configure_logging(module)
    uvloop.run(import_module(f"services.demo.{module}").serve(port, on_ready))


def run_async(main: Coroutine[Any, Any, Any]) -> Any:
    """A set-up step, in a process of its own."""
    configure_logging("setup", "WARNING", "console")
    return asyncio.run(main)
