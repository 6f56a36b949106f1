"""End TLS for hosts that a user grants: judge each request, give it its credential, send it on, and
record it.

Implements `reach.Interceptor`. Order: the pack's TLS ends here, under this stage's authority
→ a request is read and judged → the host is dialled once, and its certificate verified as any
program of this host would → the request goes on with the credential in its place → the answer comes
back, watched for the credential. HTTP/1.1 alone. Needs the extra `cloud` (h11 parses). The rules
are `egress.http_rules`; this only moves bytes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType

import h11

from factory.egress.authority import Authority
from factory.egress.connection import Reason, Request, Target
from factory.egress.http_rules import (
    MOST_HEAD,
    UPGRADE_REQUIRED,
    Echo,
    HeaderCredential,
    Refused,
    judge_answer,
    judge_request,
)
from factory.egress.reach import Served
from factory.egress.rules import EgressRefusal
from factory.egress.secured import Secured
from factory.egress.tunnel import Meter
from factory.egress.usage import UsageReader

PROTOCOL = "http/1.1"
# A 426 has to name what is spoken here (RFC 9110, 15.5.22).
_NO_UPGRADE = (("Connection", "close, Upgrade"), ("Upgrade", "HTTP/1.1"))
_LINGER = 0.5  # seconds for a refused client to take its answer


def system_trust() -> ssl.SSLContext:
    """Return how this host's programs verify a server."""
    return ssl.create_default_context()


class CloudInterceptor:
    """Serve the hosts of some credentials.

    `shown` returns what a record may contain of a request's target; `trust` returns a context that
    verifies servers, and tests give another.
    """

    def __init__(
        self,
        credentials: Iterable[HeaderCredential],
        authority: Authority,
        shown: Callable[[bytes], str],
        trust: Callable[[], ssl.SSLContext] = system_trust,
    ) -> None:
        found = {Target(each.host, each.port): each for each in credentials}
        self._credentials: Mapping[Target, HeaderCredential] = MappingProxyType(found)
        self._contexts = {
            target: _named(authority.context(target.host), target.host) for target in found
        }
        self._shown, self._trust = shown, cache(partial(_verifying, trust))

    def serves(self, target: Target) -> bool:
        """Return whether a credential is for this host and port."""
        return target in self._credentials

    def serve(
        self,
        client: socket.socket,
        dial: Callable[[], socket.socket],
        target: Target,
        meter: Meter,
    ) -> Served:
        """Carry requests until either side is done."""
        near = Secured(client, self._contexts[target], None)
        credential, far = self._credentials[target], partial(self._far, dial, target)
        service = _Service(near, credential, self._shown, meter, far)
        reason = service.carry()
        if reason is not Reason.DONE:
            _linger(client)
        return Served(near.read, near.written, tuple(service.requests), reason)

    def _far(self, dial: Callable[[], socket.socket], target: Target) -> Secured:
        """Return the host itself, verified. Raise OSError."""
        far = Secured(dial(), self._trust(), target.host)
        if far.shake_hands() not in ("", PROTOCOL):
            raise ConnectionError("the host chose another protocol than HTTP/1.1")
        return far


def _verifying(trust: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the client's side of TLS for every host of a stage: to read all authorities of this
    host takes longer than a handshake.
    """
    context = trust()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = True, ssl.CERT_REQUIRED
    context.set_alpn_protocols([PROTOCOL])
    return context


def _named(context: ssl.SSLContext, host: str) -> ssl.SSLContext:
    """Return the context, answering to one name only."""

    def judge(_tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Refuse a handshake that names another server or none."""
        wrong = name is None or name.lower() != host
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if wrong else None

    context.sni_callback = judge
    return context


class _Service:
    """Carry one connection. `near` is the pack, `far` the host."""

    def __init__(
        self,
        near: Secured,
        credential: HeaderCredential,
        shown: Callable[[bytes], str],
        meter: Meter,
        dial: Callable[[], Secured],
    ) -> None:
        self._near, self._dial = near, dial
        self._credential, self._shown, self._meter = credential, shown, meter
        self._pack = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._host = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        self._far: Secured | None = None
        self._up = self._down = 0  # of the request under way
        self._usage = UsageReader(b"")
        self._status = 0  # what the host answered to it; where it did not, what the pack got
        self.requests: list[Request] = []

    def carry(self) -> Reason:
        """Carry every request, one after another; return how it ended."""
        try:
            self._near.shake_hands()
        except ssl.SSLError:
            return Reason.SERVER_NAME
        except OSError:
            return Reason.LEFT
        try:
            while self._one():
                self._pack.start_next_cycle()
                self._host.start_next_cycle()
            with contextlib.suppress(OSError):
                self._near.farewell()
        except Refused:
            return Reason.INTERCEPTED
        except EgressRefusal as cut:
            return cut.reason
        except TimeoutError:
            return Reason.IDLE
        except OSError:
            return Reason.DONE  # one side left; what was carried is recorded
        return Reason.DONE

    def _one(self) -> bool:
        """Carry one request and its answer; return whether another may follow. Raise Refused,
        EgressRefusal, OSError.
        """
        self._up = self._down = self._status = 0
        self._usage = UsageReader(b"")
        asked = self._asked()
        if asked is None:
            return False
        try:
            forwarded = judge_request(
                asked.method, asked.target, tuple(asked.headers), self._credential
            )
            far = self._reached()
            sent = list(forwarded.headers)
            self._send_far(
                far, h11.Request(method=forwarded.method, target=forwarded.target, headers=sent)
            )
            self._carry_up(far)
            self._carry_down(far)
        except Refused as refused:
            given = self._answer(refused)
            self._status = self._status or given
            raise
        finally:
            self._record(asked)
        return (
            self._pack.our_state is h11.DONE
            and self._host.their_state is h11.DONE
            and self._both_go_on()
        )

    def _both_go_on(self) -> bool:
        return self._pack.their_state is h11.DONE and self._host.our_state is h11.DONE

    def _record(self, asked: h11.Request) -> None:
        method = asked.method.decode("ascii", "replace")[:32]
        path = self._shown(asked.target)
        place = self._credential.place
        said = self._usage.end()
        counts = (self._status, self._up, self._down)
        self.requests.append(
            Request(method, place, path, *counts, said.model, said.tokens_in, said.tokens_out)
        )

    # --- towards the host

    def _asked(self) -> h11.Request | None:
        """Return the next request; None at the end. Raise Refused where it is no sound HTTP/1.1."""
        try:
            event = self._next_near()
            if isinstance(event, h11.ConnectionClosed):
                return None
            if not isinstance(event, h11.Request):
                raise Refused(400, "it is no request")
        except Refused as refused:
            self._answer(refused)
            raise
        return event

    def _next_near(self) -> object:
        while True:
            try:
                event = self._pack.next_event()
            except h11.RemoteProtocolError as error:
                raise Refused(
                    error.error_status_hint, "it is no sound request of HTTP/1.1"
                ) from error
            if event is not h11.NEED_DATA:
                return event
            if self._pack.they_are_waiting_for_100_continue:
                self._send_near(h11.InformationalResponse(status_code=100, headers=[]))
            came = self._near.receive()
            self._up += len(came)
            self._meter.up(len(came))
            self._pack.receive_data(came)

    def _carry_up(self, far: Secured) -> None:
        """Carry the body of the request, if any. A host that answers early may have closed: its
        answer is read then.
        """
        while True:
            event = self._next_near()
            if isinstance(event, h11.Data):
                self._send_far(far, h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._send_far(far, h11.EndOfMessage())
                return
            else:
                raise Refused(400, "its body ends before its end")

    def _reached(self) -> Secured:
        """Return the host, dialled for the first request. Raise Refused where it is not there, or
        is another.
        """
        if self._far is None:
            try:
                self._far = self._dial()
            except ssl.SSLCertVerificationError as error:
                raise Refused(
                    502, f"the host's certificate is not valid: {error.verify_message}"
                ) from error
            except OSError as error:
                raise Refused(502, "the host cannot be reached") from error
        return self._far

    def _send_far(self, far: Secured, event: h11.Event) -> None:
        try:
            content = self._host.send(event)
        except h11.LocalProtocolError as error:
            raise Refused(400, "it cannot be said again as it was said") from error
        if content:
            far.send(content)

    # --- back to the pack

    def _carry_down(self, far: Secured) -> None:
        """Carry the answer. Raise Refused, and then nothing with the credential in it went back."""
        echo = Echo(self._credential.watcher)
        head: h11.Response | None = (
            None  # kept until some of the body may go back: a refusal can still be sent then
        )
        while True:
            event = self._next_far(far)
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    raise Refused(502, "the answer is another protocol")
            elif isinstance(event, h11.Response):
                self._status = event.status_code
                self._usage = UsageReader(dict(event.headers).get(b"content-type", b""))
                headers = list(judge_answer(event.status_code, tuple(event.headers), echo))
                head = h11.Response(
                    status_code=event.status_code, headers=headers, reason=_reason(event, echo)
                )
            elif isinstance(event, h11.Data | h11.EndOfMessage):
                last = isinstance(event, h11.EndOfMessage)
                self._usage.feed(b"" if isinstance(event, h11.EndOfMessage) else bytes(event.data))
                given = (
                    echo.end()
                    if isinstance(event, h11.EndOfMessage)
                    else echo.feed(bytes(event.data))
                )
                if head is not None and (given or last):
                    self._send_near(head)
                    head = None
                if given:
                    self._send_near(h11.Data(data=given))
                if last:
                    self._send_near(h11.EndOfMessage())
                    return
            else:
                raise Refused(502, "the answer ends before its end")

    def _next_far(self, far: Secured) -> object:
        while True:
            try:
                event = self._host.next_event()
            except h11.RemoteProtocolError as error:
                raise Refused(502, "the answer is no sound HTTP/1.1") from error
            if event is not h11.NEED_DATA:
                return event
            self._host.receive_data(far.receive())

    def _send_near(self, event: h11.Event) -> None:
        try:
            content = self._pack.send(event)
        except h11.LocalProtocolError as error:
            raise Refused(502, "the answer cannot be said again as it was said") from error
        if content:
            self._near.send(content)
            self._down += len(content)
            self._meter.down(len(content))

    def _answer(self, refused: Refused) -> int:
        """Send the pack the reason; return the status that it got, 0 where an answer was under way
        already.
        """
        if self._pack.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return 0
        said = f"factory: {self._credential.place}: {refused.why}\n".encode("ascii", "replace")
        headers = [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(said))),
            *(_NO_UPGRADE if refused.status == UPGRADE_REQUIRED else (("Connection", "close"),)),
        ]
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            head = self._pack.send(h11.Response(status_code=refused.status, headers=headers))
            content = head + self._pack.send(h11.Data(data=said))
            self._near.send(content)
            self._down += len(content)
            self._near.farewell()
        return refused.status


def _reason(event: h11.Response, echo: Echo) -> bytes:
    echo.judge(event.reason)
    return event.reason


def _linger(client: socket.socket) -> None:
    """Let a refused client take its answer: what is unread when a socket closes takes the answer
    along.
    """
    with contextlib.suppress(OSError):
        client.settimeout(_LINGER)
        client.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _LINGER
        while time.monotonic() < deadline and client.recv(4096):
            pass
