"""One HTTP endpoint: where it is, its key, one attempt at a time, a size limit, and no secrets in what it says."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore2
import httpx2

from rung.core.errors import BackendError
from rung.core.model import Failure
from rung.models.timed_network import Attempt, Deadlines, Late, PoolTransport, TimedNetwork, never

LARGEST = 8 * 1024 * 1024
"""Bytes of an answer, decompressed, above which reading stops."""
_SHOWN = 200
_LOOKED_AT = 4096
_KEEP_ALIVE = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Opening:
    """An HTTP answer whose body is on its way."""

    status: int
    headers: Mapping[str, str]
    blocks: Iterator[bytes]


class Unanswered(Exception):
    """No whole HTTP answer came. `again`: the connection failed, so that another attempt may help."""

    def __init__(self, failure: Failure, *, again: bool, seconds: float = 0.0) -> None:
        self.failure = failure
        self.again = again
        self.seconds = seconds
        super().__init__(failure.message)


class _TooLarge(Exception):
    pass


class Endpoint:
    """Sends JSON to `<base_url>/chat/completions`. Safe to use from several threads.

    The key is read from the environment variable `api_key_env` at every request and kept nowhere. Raises BackendError E3100
    for an address that cannot be used, E3101 where the variable holds no usable key, E3107 for an unsupported proxy.
    """

    def __init__(self, base_url: str, api_key_env: str, deadlines: Deadlines, *, largest: int = LARGEST) -> None:
        self.url = chat_url(base_url)
        self.place = self.url.netloc.decode("ascii")
        self._key_name = api_key_env
        self._deadlines = deadlines
        self._largest = largest
        self._attempt = Attempt()
        self.key()
        pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context() if self.url.scheme == "https" else None,
            proxy=proxy_of(self.url),
            max_connections=None,
            keepalive_expiry=_KEEP_ALIVE,
            network_backend=TimedNetwork(self._attempt),
        )
        self._client = httpx2.Client(transport=PoolTransport(pool), trust_env=False)
        # Idle connections are closed with the endpoint, also where nobody calls `close`.
        self.close = weakref.finalize(self, self._client.close)

    def key(self) -> str:
        """The API key, or '' where the endpoint needs none."""
        if not self._key_name:
            return ""
        key = os.environ.get(self._key_name, "").strip()
        if not key or not (key.isascii() and key.isprintable() and " " not in key):
            raise BackendError("E3101", where="api_key_env", name=self._key_name)
        return key

    def clean(self, text: str, hidden: Sequence[str] = ()) -> str:
        """Text from the endpoint, fit to be shown: short, one line, without the key or the `hidden` texts."""
        text = text[:_LOOKED_AT]
        for secret in (self.key(), *hidden):
            if len(secret) >= 4:
                text = text.replace(secret, "[...]")
        text = "".join(mark if mark.isprintable() else " " for mark in text)
        return " ".join(text.split())[:_SHOWN]

    def log_garbage(self, body: bytes, hidden: Sequence[str] = ()) -> None:
        """Keep the beginning of an unusable answer for whoever reads the log."""
        start = body[:_LOOKED_AT].decode("utf-8", "replace")
        _log.info("unusable answer from %s: %s", self.place, self.clean(start, hidden))

    def post(self, payload: bytes, cancelled: Callable[[], bool] = never) -> Reply:
        """One attempt. Raises `Unanswered` when no whole answer came; any HTTP status is an answer."""
        started = time.monotonic()
        with self.opened(payload, cancelled) as answer:
            body = b"".join(answer.blocks)
            return Reply(answer.status, answer.headers, body, time.monotonic() - started)

    @contextmanager
    def opened(self, payload: bytes, cancelled: Callable[[], bool] = never) -> Iterator[Opening]:
        """One attempt, whose answer is read as it arrives, by the thread that opened it. Raises `Unanswered`, also in the reading."""
        started = time.monotonic()
        self._attempt.begin(self._deadlines, cancelled)
        # A short answer gains nothing from compression, and a decompression bomb needs it.
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if key := self.key():
            headers["authorization"] = f"Bearer {key}"
        begun = False
        try:
            with self._client.stream("POST", self.url, content=payload, headers=headers) as response:
                begun = True
                names = {name.lower(): value for name, value in response.headers.items()}
                yield Opening(response.status_code, names, self._blocks(response))
        except Exception as error:
            why = self._explain(error, begun or self._attempt.heard)
            why.seconds = time.monotonic() - started
            # `from None`: the cause may quote a header, and with it the key.
            raise why from None

    def _blocks(self, response: httpx2.Response) -> Iterator[bytes]:
        size = 0
        for block in response.iter_bytes():
            size += len(block)
            if size > self._largest:
                raise _TooLarge
            yield block

    def _explain(self, error: Exception, begun: bool) -> Unanswered:
        """What went wrong, and whether to ask again. `begun`: a part of the answer has come."""

        def because(kind: str, message: str, *, again: bool) -> Unanswered:
            return Unanswered(Failure(kind, f"{self.place}: {message}"), again=again)

        match error:
            case Late():
                return because("timeout", str(error), again=False)
            case _TooLarge():
                return because("garbage", f"the answer is larger than {self._largest} bytes", again=False)
            case httpcore2.ConnectTimeout():
                limit = self._deadlines.connect
                return because("timeout", f"the connect deadline of {limit:g} s passed", again=True)
            case httpcore2.WriteTimeout():
                return because("timeout", "the idle deadline passed while sending", again=False)
            case httpcore2.ConnectError():
                causes = [type(cause) for cause in _causes(error)]
                if socket.gaierror in causes:
                    return because("refused", "the host name cannot be resolved (DNS)", again=True)
                if ssl.SSLCertVerificationError in causes:
                    return because("refused", "its TLS certificate is not trusted", again=False)
                if any(issubclass(cause, ssl.SSLError) for cause in causes):
                    return because("refused", "the TLS handshake failed", again=True)
                return because("refused", "no connection could be made", again=True)
            case httpcore2.ProxyError():
                return because("refused", "the proxy refused the connection", again=True)
            case httpcore2.NetworkError() | httpcore2.RemoteProtocolError() | OSError() if begun:
                return because("garbage", "the answer breaks off, or is not HTTP", again=True)
            case httpcore2.NetworkError() | httpcore2.RemoteProtocolError() | OSError():
                return because("refused", "the connection was dropped without an answer", again=True)
            case httpx2.DecodingError():
                return because("garbage", "the answer's compression is broken", again=False)
        raise error


def chat_url(base_url: str) -> httpx2.URL:
    """The address to post to. `/v1` is added to a bare host. Raises BackendError E3100; its text never shows the address."""
    try:
        url = httpx2.URL(base_url.strip())
    except (httpx2.InvalidURL, ValueError):
        raise BackendError("E3100", where="base_url") from None
    # A user name, a query or a fragment is where people put keys, and this address is written into records.
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise BackendError("E3100", where="base_url")
    path = url.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return url.copy_with(path=f"{path}/chat/completions")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def proxy_of(url: httpx2.URL) -> httpcore2.Proxy | None:
    """The environment's proxy for a URL; none for this machine. Raises BackendError E3107 for other than HTTP proxies."""
    found = urllib.request.getproxies()
    address = found.get(url.scheme) or found.get("all")
    if not address or is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    try:
        proxy = httpx2.Proxy(address if "://" in address else f"http://{address}")
    except (httpx2.InvalidURL, ValueError):
        raise BackendError("E3107") from None
    if proxy.url.scheme not in {"http", "https"}:
        raise BackendError("E3107")
    target = httpcore2.URL(scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=b"/")
    return httpcore2.Proxy(target, auth=proxy.raw_auth)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
