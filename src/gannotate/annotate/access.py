"""Who may talk to the annotator's server: the browser that opened the printed address, and no other page in it.

The server reads and writes files for whoever reaches it, so a request must (1) name this server as its host, which
stops pages of foreign names that resolve to this machine (DNS rebinding), (2) come from this server's own page when
the browser says where it comes from, (3) below /api/ carry the cookie that the one-time address was exchanged for, and
(4) be no larger than a label map can be.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer: nothing from elsewhere is loaded, and no other page may show or read this one."""


class Access:
    """The token of the printed address, and the sessions it was exchanged for.

    Args:
        host: address that the server listens on. port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.token = secrets.token_urlsafe(24)
        self._sessions: set[str] = set()

    @property
    def cookie(self) -> str:
        """The session cookie's name; browsers do not keep cookies of two ports apart."""
        return f"gannotate-{self.port}"

    @property
    def address(self) -> str:
        """What to open: it works once."""
        shown = "127.0.0.1" if is_any_address(self.host) else self.host
        shown = f"[{shown}]" if ":" in shown else shown
        return f"http://{shown}:{self.port}/?token={self.token}"

    def exchange(self, token: str) -> str | None:
        """A new session for the token of the address, which is spent by that; None for any other."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = secrets.token_urlsafe(24)
        session = secrets.token_urlsafe(24)
        self._sessions.add(session)
        return session

    def knows(self, session: str) -> bool:
        """Whether this is the cookie of a session."""
        return any(hmac.compare_digest(session.encode(), known.encode()) for known in self._sessions)

    def is_own_host(self, header: str) -> bool:
        """Whether a Host header names this server."""
        try:
            parts = urlsplit(f"//{header}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.path or parts.username is not None:
            return False
        if name in LOOPBACK or name == self.host.lower():
            return True
        return is_any_address(self.host) and (_is_address(name) or name == socket.gethostname().lower())


class Guard:
    """ASGI middleware that refuses what `Access` does not allow, before the application sees it.

    Args:
        most_bytes: that a request may have. larger: the same for single paths that may have more.
    """

    def __init__(self, app: App, access: Access, most_bytes: int, larger: Mapping[str, int] | None = None) -> None:
        self.app, self.access, self.most_bytes, self.larger = app, access, most_bytes, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        most = self.larger.get(str(scope["path"]), self.most_bytes)
        refusal = self._refusal(str(scope["path"]), headers, most)
        if refusal is None and not scope.get("query_string", b"").isascii():
            refusal = 400, "what comes after ? in the address is no text; write such signs as %XX"
        if refusal is not None:
            return await _answer(send, *refusal)
        limited = _Limited(receive, most)
        try:
            await self.app(scope, limited, _with_headers(send))
        except _TooLarge:
            await _answer(send, 413, _too_large(most))

    def _refusal(self, path: str, headers: dict[str, str], most: int) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self.access.is_own_host(host):
            return 421, f"this server is not {host!r}; open the address that the terminal printed"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, f"requests from {origin!r} are refused; use the annotator's own page"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and path.startswith("/api"):
            return 403, "requests from other pages are refused; use the annotator's own page"
        if path.startswith("/api") and not self.access.knows(_cookies(headers).get(self.access.cookie, "")):
            return 401, "no session; open the address with the token that the terminal printed"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 12 or int(length) > most:
            return 413, _too_large(most)
        return None


def _too_large(most: int) -> str:
    return f"the request is larger than the {most} bytes that are taken here"


class _TooLarge(Exception):
    """More bytes came than are allowed, whatever Content-Length said."""


class _Limited:
    """`receive` that counts the body's bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.left = receive, most

    async def __call__(self) -> Message:
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            raise _TooLarge
        return message


def is_any_address(host: str) -> bool:
    """Whether listening there means listening on every network of this machine."""
    return host in ("0.0.0.0", "::")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in present]
            if b"cache-control" not in present:
                more.append((b"cache-control", b"no-cache"))
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return sending


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    sending = _with_headers(send)
    await sending({"type": "http.response.start", "status": status, "headers": headers})
    await sending({"type": "http.response.body", "body": body})
