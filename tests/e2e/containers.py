"""NATS and Postgres in containers, by testcontainers; skips with the reason where no engine answers."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

NATS_IMAGE = "nats:2.12-alpine"
POSTGRES_IMAGE = "postgres:17-alpine"
#: Where Docker looks for its engine unless it is told.
DOCKER_HOST = "unix:///var/run/docker.sock"


@contextmanager
def servers_in_containers() -> Iterator[dict[str, str]]:
    """The settings that lead to them."""
    _skip_unless_there_are_images()
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    password = secrets.token_hex(16)
    nats = (
        DockerContainer(NATS_IMAGE)
        .with_command(f"-js -sd /tmp/store --user pipewright --pass {password}")
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    postgres = PostgresContainer(
        POSTGRES_IMAGE, username="pipewright", password=password, dbname="pipewright", driver=None
    )
    with nats, postgres:
        host, port = nats.get_container_host_ip(), nats.get_exposed_port(4222)
        yield {
            "PIPEWRIGHT_NATS_URL": f"nats://pipewright:{password}@{host}:{port}",
            "PIPEWRIGHT_DATABASE_URL": postgres.get_connection_url(),
        }


def _skip_unless_there_are_images() -> None:
    import docker
    import docker.errors

    _skip_unless_an_engine_listens()
    try:
        client = docker.from_env()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    with closing(client):
        for image in (NATS_IMAGE, POSTGRES_IMAGE):
            try:
                client.images.get(image)
            except docker.errors.ImageNotFound:
                try:
                    client.images.pull(image)
                except docker.errors.APIError as error:
                    pytest.skip(f"the image {image} is not here and cannot be had: {error}")


def _skip_unless_an_engine_listens() -> None:
    """Docker's own client leaves its socket open where nobody does."""
    kind, _, path = os.environ.get("DOCKER_HOST", DOCKER_HOST).partition("://")
    if kind != "unix":
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            pytest.skip(f"no Docker engine listens at {path}: {error}")
