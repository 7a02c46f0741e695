"""TLS: who gets in with which certificate, what travels, and what bad handshakes do to others."""

import contextlib
import datetime
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
import trio
import trustme

from clustrio.node.config import Config
from clustrio.node.config.syntax import ConfigError
from clustrio.node.runtime.log import RedisLog
from clustrio.node.runtime.server import Server
from clustrio.node.runtime.tls import TlsSetupError, make_contexts
from clustrio.tools.bench.processes import reserve_port

pytestmark = pytest.mark.slow

Stream = trio.SSLStream[trio.SocketStream]


class Certificates:
    """An authority, and files of certificates that it made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.server = self.issue("server")
        self.client = self.issue("client")

    def issue(self, name: str, expires: datetime.datetime | None = None) -> Path:
        """A file with key and certificate."""
        path = self.folder / f"{name}.pem"
        made = self.authority.issue_cert("127.0.0.1", "localhost", not_after=expires)
        made.private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def lines(self) -> list[str]:
        """The configuration for a server."""
        return [
            f"tls-cert-file {self.server}",
            f"tls-key-file {self.server}",
            f"tls-ca-cert-file {self.ca}",
        ]

    def client_context(self, identity: Path | None = None) -> ssl.SSLContext:
        """What a client goes by; without an identity it shows no certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        if identity is not None:
            context.load_cert_chain(identity)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def port() -> Iterator[int]:
    reserved = reserve_port()
    yield reserved.port
    reserved.release()


def configured(certificates: Certificates, *lines: str) -> Config:
    config = Config()
    config.load("\n".join((*certificates.lines(), "tls-port 1", *lines)))
    return config


@asynccontextmanager
async def running(
    tmp_path: Path, certificates: Certificates, port: int, *lines: str
) -> AsyncIterator[Server]:
    config = Config()
    own = (f"port 0\nunixsocket {tmp_path / 's'}\nbind 127.0.0.1\ntls-port {port}\nsave ''",)
    config.load("\n".join((*own, *certificates.lines(), *lines)))
    server = Server(config, RedisLog(str(tmp_path / "log"), level="verbose"))
    server.open_listeners()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield server
        server.request_stop()


async def connect(port: int, context: ssl.SSLContext) -> Stream:
    """A connection whose handshake is done; with TLS 1.3 the server may still refuse it."""
    transport = await trio.open_tcp_stream("127.0.0.1", port)
    stream = trio.SSLStream(transport, context, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError:
        await transport.aclose()
        raise
    return stream


async def ask(stream: trio.abc.Stream, data: bytes, length: int) -> bytes:
    """Send something, and read an answer of that length."""
    reply = bytearray()
    with trio.fail_after(30):
        if data:
            await stream.send_all(data)
        while len(reply) < length and (part := await stream.receive_some()):
            reply += part
    return bytes(reply)


async def is_served(port: int, context: ssl.SSLContext) -> bool:
    try:
        async with await connect(port, context) as stream:
            return await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
    except (trio.BrokenResourceError, OSError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to become so."""
    with trio.fail_after(30):
        while True:
            if condition():
                return
            await trio.sleep(0.01)


def first_hello(context: ssl.SSLContext) -> bytes:
    """What a client says first."""
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


# --- what travels ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_clients_are_served(
    tmp_path: Path, certificates: Certificates, port: int, version: ssl.TLSVersion
) -> None:
    context = certificates.client_context(certificates.client)
    context.minimum_version = context.maximum_version = version
    async with running(tmp_path, certificates, port) as server:
        async with await connect(port, context) as stream:
            assert await ask(stream, b"SET k v\r\nGET k\r\n", 12) == b"+OK\r\n$1\r\nv\r\n"
            assert await ask(stream, b"QUIT\r\nPING\r\n", 100) == b"+OK\r\n"
        async with await trio.open_unix_socket(str(tmp_path / "s")) as plain:
            assert await ask(plain, b"GET k\r\n", 7) == b"$1\r\nv\r\n"
        assert len(server.tls.handshakes) == 0


async def test_large_values_come_and_go(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    value = bytes(range(256)) * 20_000
    expected = b"$%d\r\n%b\r\n" % (len(value), value)
    context = certificates.client_context(certificates.client)
    async with running(tmp_path, certificates, port), await connect(port, context) as stream:
        assert await ask(stream, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + expected, 5) == b"+OK\r\n"
        # Many replies while nobody reads: they wait in the kernel and in the server.
        await stream.send_all(b"GET k\r\n" * 6)
        await trio.sleep(0.05)
        assert await ask(stream, b"", 6 * len(expected)) == 6 * expected
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    context = certificates.client_context(certificates.client)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with running(tmp_path, certificates, port):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await stream.send_all(outgoing.read())
                incoming.write(await stream.receive_some())
        tls.write(b"PING\r\n")
        await stream.send_all(outgoing.read())
        reply = b""
        with trio.fail_after(30):
            while not reply:
                incoming.write(await stream.receive_some())
                with contextlib.suppress(ssl.SSLWantReadError):
                    reply = tls.read(100)
        assert reply == b"+PONG\r\n"
        await stream.aclose()


async def test_redis_py(tmp_path: Path, certificates: Certificates, port: int) -> None:
    def use() -> None:
        identity = str(certificates.client)
        with redis.Redis(
            host="127.0.0.1",
            port=port,
            ssl=True,
            ssl_ca_certs=str(certificates.ca),
            ssl_certfile=identity,
            ssl_keyfile=identity,
        ) as client:
            assert client.set("k", "v" * 100_000)
            assert client.get("k") == b"v" * 100_000
            with client.pipeline(transaction=True) as pipeline:
                for _ in range(500):
                    pipeline.incr("n")
                assert pipeline.execute() == list(range(1, 501))

    async with running(tmp_path, certificates, port):
        await trio.to_thread.run_sync(use)


async def test_redis_cli(tmp_path: Path, certificates: Certificates, port: int) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("no redis-cli on PATH")
    identity = str(certificates.client)
    words = [cli, "-p", str(port), "--tls", "--cacert", str(certificates.ca), "--cert", identity]
    words += ["--key", identity, "PING"]
    async with running(tmp_path, certificates, port):
        found = await trio.run_process(words, capture_stdout=True, capture_stderr=True, check=False)
    if b"Unrecognized option" in found.stderr:
        pytest.skip("this redis-cli was built without TLS")
    assert found.stdout == b"PONG\n", found.stderr


# --- who gets in -----------------------------------------------------------------------------


async def test_certificates_of_clients(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    stranger = Certificates(tmp_path)
    long_ago = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    expired = certificates.issue("expired", long_ago)
    good = certificates.client_context(certificates.client)
    without = certificates.client_context()
    unknown = certificates.client_context(stranger.client)
    late = certificates.client_context(expired)
    async with running(tmp_path, certificates, port) as server:
        served = [await is_served(port, each) for each in (good, without, unknown, late)]
        assert served == [True, False, False, False]
        server.config.set([("tls-auth-clients", "optional")])
        served = [await is_served(port, each) for each in (good, without, unknown, late)]
        assert served == [True, True, False, False]
        server.config.set([("tls-auth-clients", "no")])
        served = [await is_served(port, each) for each in (good, without, unknown, late)]
        assert served == [True, True, True, True]


async def test_clients_refuse_a_server_of_another_authority(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    stranger = Certificates(tmp_path)
    async with running(tmp_path, certificates, port):
        with pytest.raises(trio.BrokenResourceError):
            await connect(port, stranger.client_context(stranger.client))


async def test_old_versions_are_refused(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    old = certificates.client_context(certificates.client)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running(tmp_path, certificates, port, "tls-protocols TLSv1.3") as server:
        assert not await is_served(port, old)
        server.config.set([("tls-protocols", "TLSv1.2 tlsv1.3")])
        assert await is_served(port, old)


async def test_certificates_are_read_anew(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    other = Certificates(tmp_path)
    context = other.client_context(other.client)
    async with running(tmp_path, certificates, port) as server:
        kept = await connect(port, certificates.client_context(certificates.client))
        assert not await is_served(port, context)
        refused = [("tls-cert-file", "/nowhere"), ("tls-key-file", "/nowhere")]
        with pytest.raises(Exception, match="Unable to update TLS configuration"):
            server.config.set(refused)
        assert await is_served(port, certificates.client_context(certificates.client))
        names = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
        paths = map(str, (other.server, other.server, other.ca))
        server.config.set(list(zip(names, paths, strict=True)))
        assert await is_served(port, context)
        assert await ask(kept, b"PING\r\n", 7) == b"+PONG\r\n"
        await kept.aclose()


async def test_the_port_can_be_changed(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    context = certificates.client_context(certificates.client)
    reserved = reserve_port()
    async with running(tmp_path, certificates, port) as server:
        server.config.set([("tls-port", str(reserved.port))])
        assert not await is_served(port, context)
        assert await is_served(reserved.port, context)
        server.config.set([("tls-port", "0")])
        assert not await is_served(reserved.port, context)
    reserved.release()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["tls-cert-file ''"], "No tls-cert-file configured!"),
        (["tls-key-file ''"], "No tls-key-file configured!"),
        (["tls-ca-cert-file ''"], "Either tls-ca-cert-file or tls-ca-cert-dir must be"),
        (["tls-protocols SSLv3"], "Invalid tls-protocols specified."),
        (["tls-ciphers nonsense"], "Failed to configure tls-ciphers 'nonsense'"),
        (["tls-cert-file /nowhere"], "Failed to load certificate or key: /nowhere"),
        (["tls-ca-cert-file /nowhere"], "Failed to load CA certificates"),
        (["tls-dh-params-file /nowhere"], "Failed to configure DH parameters"),
    ],
)
def test_what_cannot_work_is_refused(
    certificates: Certificates, lines: list[str], reason: str
) -> None:
    with pytest.raises(TlsSetupError) as refusal:
        make_contexts(configured(certificates, *lines))
    assert str(refusal.value).startswith(reason)


def test_settings_reach_the_contexts(certificates: Certificates) -> None:
    lines = ("tls-session-caching no", "tls-prefer-server-ciphers yes", "tls-auth-clients optional")
    server = make_contexts(configured(certificates, *lines)).server
    assert server.options & ssl.OP_NO_TICKET
    assert server.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert server.verify_mode is ssl.CERT_OPTIONAL
    assert make_contexts(configured(certificates)).client.verify_mode is ssl.CERT_REQUIRED


def test_a_server_does_not_start_without_its_certificate(
    tmp_path: Path, certificates: Certificates
) -> None:
    config = configured(certificates, "port 0", "tls-cert-file /nowhere")
    server = Server(config, RedisLog(str(tmp_path / "log")))
    with pytest.raises(ConfigError, match="Failed to configure TLS"):
        server.open_listeners()
    server.plane.close_all()


# --- bad handshakes --------------------------------------------------------------------------


async def test_half_done_handshakes_hold_up_nobody(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    context = certificates.client_context(certificates.client)
    hello = first_hello(context)
    async with running(tmp_path, certificates, port) as server:
        stream = await connect(port, context)
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        for number, each in enumerate(crowd):
            each.send((hello, b"", hello[:40])[number % 3])
        with trio.fail_after(30):
            for _ in range(50):
                assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"
        assert await is_served(port, context)
        assert len(server.tls.handshakes) == 60
        for each in crowd:
            each.close()
        await until(lambda: len(server.tls.handshakes) == 0)
        await stream.aclose()


async def test_what_is_no_handshake_is_cut_off(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    async with running(tmp_path, certificates, port):
        for words in (b"PING\r\n", b"\x16\x03\x01\x00\x05hello"):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                alert = await ask(stream, words, 1000)
                assert b"PONG" not in alert


async def test_handshakes_count_as_clients(
    tmp_path: Path, certificates: Certificates, port: int
) -> None:
    context = certificates.client_context(certificates.client)
    async with running(tmp_path, certificates, port, "maxclients 1") as server:
        with socket.create_connection(("127.0.0.1", port)):
            await until(lambda: len(server.tls.handshakes) == 1)
            assert not await is_served(port, context)
        await until(lambda: len(server.tls.handshakes) == 0)
        assert await is_served(port, context)
