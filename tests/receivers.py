"""What alerts are sent to in tests: a real HTTP receiver and a real SMTP server, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

import orjson
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

#: The path is the credential of a webhook.
HOOK_PATH = "/services/T000/B000/sim_hook_canary_51d0"
USER = "mailer"
PASSWORD = "sim_smtp_canary_77aa"


@dataclass
class HookReceiver:
    """An incoming webhook: keeps what was posted, answers with `status`."""

    url: str
    status: int = 200
    location: str = ""
    posted: list[dict[str, Any]] = field(default_factory=list)
    #: Everything asked of it, also what it refused.
    requests: list[str] = field(default_factory=list)

    def take(self) -> list[dict[str, Any]]:
        """What was taken since the last look."""
        taken, self.posted = self.posted, []
        return taken


@contextmanager
def hook_receiver() -> Iterator[HookReceiver]:
    """A webhook on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests.append(self.path)
            # Before the answer: whoever has it looks at once.
            if receiver.status == 200 and self.path == HOOK_PATH:
                receiver.posted.append(orjson.loads(body))
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("location", receiver.location)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = HookReceiver(f"http://127.0.0.1:{server.server_port}{HOOK_PATH}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class MailServer:
    """An SMTP server that keeps what it was given."""

    port: int = 0
    #: An answer that refuses, such as `451 later`; empty: everything is taken.
    refuse: str = ""
    #: Recipients it does not know.
    unknown: frozenset[str] = frozenset()
    mails: list[Message] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take or refuse a mail."""
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Let the one user in."""
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append((data.login.decode(), is_right))
        return AuthResult(success=is_right, handled=is_right)

    def take(self) -> list[Message]:
        """What was taken since the last look."""
        taken, self.mails = self.mails, []
        return taken


class FreePortController(Controller):
    """A controller that learns its port from the socket before it tries the server."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(tls: SSLContext | None = None) -> Iterator[MailServer]:
    """A mail server on a free port: plain, or with STARTTLS and a login when it has a context."""
    server = MailServer()
    options: dict[str, Any] = {}
    if tls is not None:
        options = {
            "tls_context": tls,
            "require_starttls": True,
            "authenticator": server.authenticate,
            "auth_required": True,
        }
    controller = FreePortController(server, hostname="127.0.0.1", port=0, **options)
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()
