"""The simulator on a port: only loopback, and connections that break as real ones do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.server import RunningSimulator, loopback, serve
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)


def build() -> World:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_facebook_account(campaigns=1, adsets=2, ads=4, history_days=5)
    return world


@pytest.fixture
def running() -> Iterator[RunningSimulator]:
    with serve(build()) as running:
        yield running


def get(
    running: RunningSimulator, path: str = "/v26.0//act_501/ads", **options: object
) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    return session.get(
        running.base_url + path,
        headers={"Authorization": "Bearer sim_t"},
        timeout=5,
        allow_redirects=False,
        **options,  # type: ignore[arg-type]
    )


def test_the_port_answers_what_the_function_answers(running: RunningSimulator) -> None:
    """Path, query, headers and body reach `handle` unchanged, and its answer comes back."""
    _, headers, body = running.simulator.handle(
        "GET",
        "/v26.0//act_501/ads",
        {"limit": "2"},
        {"Authorization": "Bearer sim_t", "Host": running.base_url.removeprefix("http://")},
    )
    response = get(running, params={"limit": "2"})
    assert (response.status_code, response.content) == (200, body)
    assert response.headers["content-type"] == headers["Content-Type"]
    assert running.base_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", ""])  # noqa: S104
def test_other_addresses_are_refused(host: str) -> None:
    """It never listens where another machine could reach it."""
    with pytest.raises(UsageError, match="loopback only"):
        serve(build(), host=host)


def test_loopback_names() -> None:
    """localhost is 127.0.0.1; every loopback address is fine."""
    assert [loopback(name) for name in ("localhost", "127.0.0.2", "::1")] == [
        "127.0.0.1",
        "127.0.0.2",
        "::1",
    ]


def test_a_taken_port_is_explained(running: RunningSimulator) -> None:
    """One line that names the port and says what to do."""
    with pytest.raises(UsageError, match=f"port {running.port} cannot be used"):
        serve(build(), port=running.port)


def test_refused_connections_and_a_return_on_the_same_port() -> None:
    """A stopped simulator refuses; served again on its port it has forgotten nothing."""
    running = serve(build())
    ad = running.world.entities("act_501", "ad")[0].id
    running.world.delete("ad", ad)
    running.stop()
    with pytest.raises(requests.ConnectionError):
        get(running)
    with serve(running.simulator, port=running.port) as again:
        assert get(again, f"/v26.0/{ad}", params={"fields": "status"}).json()["status"] == "DELETED"


@pytest.mark.parametrize("fault", ["reset", "reset_mid_body", "long_content_length"])
def test_connections_break(running: RunningSimulator, fault: str) -> None:
    """The client sees a broken connection, never a short success; then all is well again."""
    running.simulator.faults.arm(fault, extra=50)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(running)
    assert get(running).status_code == 200


def test_a_reset_is_a_real_reset(running: RunningSimulator) -> None:
    """The kernel says ECONNRESET, as it would when a peer crashed."""
    running.simulator.faults.arm("reset")
    with socket.create_connection((running.host, running.port), timeout=5) as connection:
        connection.sendall(b"GET /v26.0/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_a_slow_drip_is_whole_but_slow(running: RunningSimulator) -> None:
    """Byte by byte the whole body arrives, under its true Content-Length."""
    healthy = get(running).content
    running.simulator.faults.arm("slow_drip", bytes=7, seconds=0.001)
    response = get(running, stream=True)
    pieces = list(response.iter_content(chunk_size=1))
    assert b"".join(pieces) == healthy
    assert int(response.headers["content-length"]) == len(healthy)


def test_a_hang_outlasts_the_client(running: RunningSimulator) -> None:
    """Nothing arrives, and the server stays usable for others."""
    running.simulator.faults.arm("hang", path="ads")
    with socket.create_connection((running.host, running.port), timeout=0.3) as connection:
        connection.sendall(b"GET /v26.0/act_501/ads?access_token=sim_t HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        assert get(running).status_code == 200


def test_a_bomb_travels_compressed(running: RunningSimulator) -> None:
    """The body on the wire is small; only decoding makes it large."""
    running.simulator.faults.arm("gzip_bomb", bytes=5_000_000)
    response = get(running, stream=True)
    assert int(response.headers["content-length"]) < 10_000
    assert len(response.content) > 5_000_000


def certificate(folder: Path, name: str, until: datetime) -> tuple[Path, Path]:
    """A self-signed certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - timedelta(days=30))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_bad_certificates_can_be_served(tmp_path: Path) -> None:
    """With a self-signed certificate a verifying client refuses the connection."""
    files = certificate(tmp_path, "elsewhere.example", datetime(2040, 1, 1, tzinfo=UTC))
    with serve(build(), certificate=files) as running:
        assert running.base_url.startswith("https://127.0.0.1:")
        with pytest.raises(requests.exceptions.SSLError):
            get(running)
        assert len(running.simulator.requests) == 0
