"""NATS and Postgres in containers, by testcontainers; skips with the reason where no engine answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NATS_IMAGE = "nats:2-alpine"
POSTGRES_IMAGE = "postgres:17-alpine"


@contextmanager
def servers_in_containers() -> Iterator[dict[str, str]]:
    """The settings that lead to them."""
    import docker.errors
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy
    from testcontainers.postgres import PostgresContainer

    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    nats = (
        DockerContainer(NATS_IMAGE)
        .with_command("-js -sd /tmp/store --user pipewright --pass pipewright")
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    postgres = PostgresContainer(POSTGRES_IMAGE, "pipewright", "pipewright", "pipewright", driver=None)
    with nats, postgres:
        host, port = nats.get_container_host_ip(), nats.get_exposed_port(4222)
        yield {
            "PIPEWRIGHT_NATS_URL": f"nats://pipewright:pipewright@{host}:{port}",
            "PIPEWRIGHT_DATABASE_URL": postgres.get_connection_url(),
        }
