"""TLS to NATS and to Postgres by their URLs: with the right authority alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from services.cli.local.state import LocalState
from services.cli.setup import make_topology
from shared.bus.address import connect, read_address
from shared.bus.connection import Bus
from shared.postgres import make_pool
from tests.certificates import Certificates, make_certificates
from tests.permitted import PermittedNats, permitted_nats


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def nats(tmp_path: Path, certificates: Certificates) -> AsyncIterator[PermittedNats]:
    """A server that speaks TLS alone."""
    files = f'cert_file: "{certificates.certificate}", key_file: "{certificates.key}"'
    async with permitted_nats(tmp_path, f"tls {{ {files} }}") as made:
        yield made


async def test_a_service_speaks_tls_when_its_url_says_so(nats: PermittedNats, certificates: Certificates) -> None:
    ca = f"?ca={certificates.ca}"
    await make_topology(nats.url("topology", "tls", ca))
    bus = Bus(nats.url("coordinator", "tls", ca), "coordinator")
    await bus.connect()

    receipt = await bus.client.jetstream().publish("pipewright.run.event.started", b"?")

    assert receipt.stream == "RUN_EVENTS"
    await bus.close()
    client = await connect(nats.url("internal-client", "tls", ca))
    assert client.is_connected
    await client.close()


async def test_nothing_is_sent_without_tls(nats: PermittedNats, certificates: Certificates) -> None:
    """A server that wants TLS says so first, and what does not speak it hears no more."""

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", nats.port), timeout=5) as plain:
            told = plain.recv(4096)
            plain.sendall(b'CONNECT {"verbose": true}\r\nPING\r\n')
            while part := plain.recv(4096):
                told += part
            return told

    told = await asyncio.to_thread(ask)

    assert b'"tls_required":true' in told
    assert b"PONG" not in told


async def test_a_server_of_an_unknown_authority_is_refused(nats: PermittedNats, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other")
    for more in ("", f"?ca={other.ca}"):
        context = read_address(nats.url("gateway", "tls", more)).tls
        assert context is not None
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(greet, nats.port, context)


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other", "nats.example.com")
    files = f'cert_file: "{other.certificate}", key_file: "{other.key}"'
    async with permitted_nats(tmp_path, f"tls {{ {files} }}") as server:
        context = read_address(server.url("gateway", "tls", f"?ca={other.ca}")).tls
        assert context is not None
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            await asyncio.to_thread(greet, server.port, context)


def greet(port: int, context: ssl.SSLContext) -> None:
    """As NATS does it: the server's greeting in plain, then TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.recv(4096)
        with context.wrap_socket(plain, server_hostname="127.0.0.1"):
            pass


async def test_postgres_is_reached_by_tls_when_its_url_says_so(
    postgres: LocalState, certificates: Certificates, tmp_path: Path
) -> None:
    """The Postgres of the wheel was built without TLS, so that something before it speaks TLS for it."""
    other = make_certificates(tmp_path / "other")
    async with tls_before(postgres.postgres_port, certificates) as port:
        url = f"postgresql://pipewright:{postgres.postgres_password}@127.0.0.1:{port}/postgres?sslmode=verify-full"
        pool = make_pool(f"{url}&sslrootcert={certificates.ca}", "test", 1)
        await pool.open(wait=True)
        async with pool.connection() as connection:
            assert connection.pgconn.ssl_in_use
            assert await (await connection.execute("SELECT 1 AS one")).fetchone() == {"one": 1}
        await pool.close()
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            await psycopg.AsyncConnection.connect(f"{url}&sslrootcert={other.ca}")


@asynccontextmanager
async def tls_before(port: int, certificates: Certificates) -> AsyncIterator[int]:
    """A port where what is asked of Postgres by TLS is passed on to another one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == struct.pack("!II", 8, 80877103)  # SSLRequest
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except ssl.SSLError:
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*tasks)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
