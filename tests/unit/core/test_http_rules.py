"""Which requests get a credential, which answers go back, and that nothing is read in two ways."""

from __future__ import annotations

import base64
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.contract.cloud_credentials import watchable
from factory.egress.http_rules import (
    Echo,
    Headers,
    Refused,
    judge_answer,
    judge_request,
)
from factory.model.injection import CloudGrant, Credential, grant_of
from factory.plan.cloud import injected_of, shown_path
from factory.redact.redaction import Redactor
from tests.sample import examples

VALUE = b"Bearer kQ7-canary/of+the_user-x9x9x9"
GRANT = CloudGrant("api.example.org", 443, "authorization-bearer", "env:CLOUD_TOKEN")
HELD = Credential(GRANT, VALUE, (VALUE[7:],))
CREDENTIAL = injected_of(HELD)
HOST = (b"host", b"api.example.org")


def refused(
    status: int,
    *headers: tuple[bytes, bytes],
    method: bytes = b"POST",
    target: bytes = b"/v1/things",
) -> str:
    with pytest.raises(Refused) as error:
        judge_request(method, target, headers, CREDENTIAL)
    assert error.value.status == status
    return error.value.why


def test_the_credential_takes_the_place_of_what_the_pack_sent() -> None:
    sent = (
        HOST,
        (b"authorization", b"Bearer mine"),
        (b"Authorization", b"Basic x"),
        (b"accept", b"*/*"),
    )
    forwarded = judge_request(
        b"POST", b"/v1/things?a=1", (*sent, (b"content-length", b"3")), CREDENTIAL
    )
    assert forwarded.method == b"POST"
    assert forwarded.target == b"/v1/things?a=1"
    assert forwarded.headers == (
        (b"Host", b"api.example.org"),
        (b"accept", b"*/*"),
        (b"content-length", b"3"),
        (b"Accept-Encoding", b"identity"),
        (b"authorization", VALUE),
    )


def test_a_header_of_its_own_name_is_replaced_in_both_spellings() -> None:
    grant = CloudGrant("api.example.org", 8443, "x-api-key", "env:K")
    credential = injected_of(Credential(grant, b"value-of-the-key"))
    sent = (
        (b"Host", b"API.example.org:8443"),
        (b"X-API-Key", b"a"),
        (b"x_api_key", b"b"),
        (b"authorization", b"own"),
    )
    forwarded = judge_request(b"GET", b"/", sent, credential)
    names = [name.lower() for name, _ in forwarded.headers]
    assert (names.count(b"x-api-key"), names.count(b"x_api_key")) == (1, 0)
    assert (b"authorization", b"own") in forwarded.headers
    assert forwarded.headers[0] == (b"Host", b"api.example.org:8443")


def test_no_header_of_the_connection_goes_on_and_none_that_it_names() -> None:
    sent: Headers = (
        HOST,
        (b"connection", b"keep-alive, X-Own, Authorization"),
        (b"x-own", b"a"),
        (b"keep-alive", b"5"),
    )
    sent += (
        (b"proxy-authorization", b"Basic x"),
        (b"te", b"trailers"),
        (b"expect", b"100-continue"),
    )
    forwarded = judge_request(b"GET", b"/", sent, CREDENTIAL)
    assert [name for name, _ in forwarded.headers] == [
        b"Host",
        b"Accept-Encoding",
        b"authorization",
    ]
    assert forwarded.headers[-1] == (b"authorization", VALUE)


def test_the_length_goes_on_whatever_the_connection_header_names() -> None:
    sent: Headers = (HOST, (b"connection", b"content-length"), (b"content-length", b"7"))
    assert (b"content-length", b"7") in judge_request(b"PUT", b"/", sent, CREDENTIAL).headers


@pytest.mark.parametrize(
    "framing",
    [
        ((b"content-length", b"3"), (b"transfer-encoding", b"chunked")),
        ((b"Content-Length", b"3"), (b"content-length", b"4")),
        ((b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")),
        ((b"transfer-encoding", b"gzip, chunked"),),
        ((b"transfer-encoding", b"identity"),),
        ((b"content_length", b"3"),),
        ((b"transfer_encoding", b"chunked"),),
    ],
)
def test_what_could_end_in_two_places_is_refused(framing: tuple[tuple[bytes, bytes], ...]) -> None:
    refused(400, HOST, *framing)


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"TRACK", b"PRI", b"get", b"\x1b[31m"])
def test_other_methods_are_refused(method: bytes) -> None:
    assert "is not carried" in refused(405, HOST, method=method)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"upgrade", b"h2c", 501),
        (b"upgrade", b"websocket, h2c", 501),
        (b"http2-settings", b"websocket", 501),
        (b"upgrade", b"WebSocket", 426),
    ],
)
def test_another_protocol_is_refused(name: bytes, value: bytes, status: int) -> None:
    assert refused(status, HOST, (name, value)).startswith("it asks for a")


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        (b"POST", b"/v1/responses", True),
        (b"POST", b"/v1/responses?x=/../", True),
        (b"POST", b"https://api.example.org/v1/responses", True),
        (b"GET", b"/v1/models/a/b", True),
        (b"GET", b"/v1/responses", False),
        (b"POST", b"/v1/responses/", False),
        (b"POST", b"/v1/responses/../fine_tuning/jobs", False),
        (b"POST", b"/v1/fine_tuning/jobs", False),
        (b"DELETE", b"/v1/models/a", False),
        (b"GET", b"/v1/models", False),
        (b"GET", b"/v1/models/../organization", False),
        (b"GET", b"/v1/models/%2e%2E/organization", False),
        (b"GET", b"/v1/models/..%2Forganization", False),
        (b"GET", b"/v1/models/a//b", False),
        (b"OPTIONS", b"*", False),
    ],
)
def test_a_grant_that_names_requests_is_for_no_other(
    method: bytes, target: bytes, sent: bool
) -> None:
    text = "api.example.org x-api-key env:K POST /v1/responses GET /v1/models/*"
    grant = grant_of(text)
    assert grant is not None
    credential = injected_of(Credential(grant, b"value-of-the-key"))
    if sent:
        assert (b"x-api-key", b"value-of-the-key") in judge_request(
            method, target, (HOST,), credential
        ).headers
        return
    with pytest.raises(Refused) as found:
        judge_request(method, target, (HOST,), credential)
    assert (found.value.status, "names other requests" in found.value.why) == (403, True)


@pytest.mark.parametrize(
    "text",
    [
        "api.example.org x-api-key env:K POST",
        "api.example.org x-api-key env:K POST v1",
        "api.example.org x-api-key env:K post /v1",
        "api.example.org x-api-key env:K POST /v1 GET",
        "api.example.org x-api-key env:K POST /v*1",
    ],
)
def test_a_grant_with_half_a_request_is_none(text: str) -> None:
    assert grant_of(text) is None


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (b"other.org",),
        (b"api.example.org", b"api.example.org"),
        (b"api.example.org:8443",),
        (b"api.example.org.",),
        (b"me@api.example.org",),
    ],
)
def test_another_host_is_refused(hosts: tuple[bytes, ...]) -> None:
    assert "Host header" in refused(421, *((b"host", host) for host in hosts))


@pytest.mark.parametrize(
    "target",
    [
        b"https://other.org/",
        b"http://api.example.org/",
        b"https://x@api.example.org/",
        b"//other.org/",
        b"x",
    ],
)
def test_a_target_elsewhere_is_refused(target: bytes) -> None:
    assert "target" in refused(421, HOST, target=target)


def test_an_absolute_target_of_the_same_host_goes_on_in_origin_form() -> None:
    for target, sent in (
        (b"https://API.example.org:443/a?b", b"/a?b"),
        (b"https://api.example.org", b"/"),
        (b"*", b"*"),
    ):
        assert judge_request(b"OPTIONS", target, (HOST,), CREDENTIAL).target == sent
    refused(400, HOST, target=b"/a b")


def test_too_much_is_refused() -> None:
    refused(431, HOST, *((b"x-%d" % number, b"") for number in range(200)))
    refused(431, HOST, (b"x", b"y" * 40_000))


def test_an_answer_goes_back_without_what_belongs_to_the_connection() -> None:
    headers: Headers = (
        (b"content-type", b"text/plain"),
        (b"Connection", b"close, x-hop"),
        (b"x-hop", b"1"),
    )
    headers += ((b"transfer-encoding", b"chunked"), (b"set-cookie", b"a=b"))
    assert judge_answer(200, headers, Echo(CREDENTIAL.watcher)) == (
        (b"content-type", b"text/plain"),
        (b"set-cookie", b"a=b"),
    )


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (101, ((b"upgrade", b"websocket"),)),
        (200, ((b"content-encoding", b"gzip"),)),
        (200, ((b"x-you-sent", VALUE),)),
        (
            302,
            (
                (
                    b"location",
                    b"https://other.org/?t=" + urllib.parse.quote(VALUE[7:], safe="").encode(),
                ),
            ),
        ),
        (200, ((b"x", base64.b64encode(b"a" + VALUE)),)),
    ],
)
def test_an_answer_that_tells_the_credential_is_refused(
    status: int, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(Refused):
        judge_answer(status, headers, Echo(CREDENTIAL.watcher))


@examples(20)
@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(1, 9), st.integers(0, 5))
def test_no_piece_of_an_answer_brings_the_credential_back(
    before: bytes, after: bytes, size: int, form: int
) -> None:
    secret = VALUE[7:]
    encoded = (
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        urllib.parse.quote(secret, safe="").encode(),
        base64.b64encode(b"u:" + secret),
        base64.encodebytes(VALUE * 4),
    )[form]
    body = before + encoded + after
    echo, given_back, seen = Echo(CREDENTIAL.watcher), b"", False
    for at in range(0, len(body), size):
        try:
            given_back += echo.feed(body[at : at + size])
        except Refused:
            seen = True
            break
    assert seen
    assert len(given_back) <= len(before) + 12, "at most what no part of the credential went into"


@examples(20)
@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_other_answer_comes_back_as_it_was(pieces: list[bytes]) -> None:
    echo = Echo(CREDENTIAL.watcher)
    assert b"".join(echo.feed(piece) for piece in pieces) + echo.end() == b"".join(pieces)


def test_evidence_tells_the_path_and_no_value_of_a_query() -> None:
    redactor = Redactor([("CLOUD_TOKEN", VALUE[7:])])
    assert shown_path(b"/v1/things/7", redactor) == "/v1/things/7"
    assert shown_path(b"/a?key=secret&flag&b=", redactor) == "/a?key=*&*&b=*"
    assert shown_path(b"/a/" + VALUE[7:], redactor) == "/a/[redacted: value of CLOUD_TOKEN]"
    assert len(shown_path(b"/" + b"a" * 4000, redactor)) < 600


def test_no_text_of_a_credential_tells_it() -> None:
    for each in (HELD, CREDENTIAL):
        assert "canary" not in f"{each!r} {each}"
    assert not watchable(b"abc")
    assert not watchable(b"password")
    assert watchable(VALUE)


@pytest.mark.parametrize(
    ("text", "place", "header"),
    [
        (
            "api.example.org authorization-bearer env:CLOUD_TOKEN",
            "api.example.org",
            "authorization",
        ),
        ("git.example.org:8443 basic file:/home/me/token", "git.example.org:8443", "authorization"),
        ("api.example.org x-api-key env:K", "api.example.org", "x-api-key"),
    ],
)
def test_a_grant_is_read(text: str, place: str, header: str) -> None:
    grant = grant_of(text)
    assert grant is not None
    assert (grant.place, grant.header) == (place, header)


@pytest.mark.parametrize(
    "text",
    [
        "api.example.org",
        "api.example.org authorization-bearer",
        "api.example.org authorization-bearer secret-itself",
        "*.example.org x-api-key env:K",
        "api.example.org host env:K",
        "api.example.org content-length env:K",
        "api.example.org x-api-key file:relative",
        "api.example.org X-Api-Key env:K",
        "api.example.org  x-api-key env:K",
    ],
)
def test_what_is_no_grant_is_none(text: str) -> None:
    assert grant_of(text) is None
