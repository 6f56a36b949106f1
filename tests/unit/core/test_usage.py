"""Which model answered and what it counted, in the forms of the usual services, and in none."""

from __future__ import annotations

import json

import pytest

from factory.egress.usage import MOST, Usage, UsageReader

JSON, EVENTS = b"application/json; charset=utf-8", b"text/event-stream"


def said(kind: bytes, body: bytes, size: int = 7) -> Usage:
    reader = UsageReader(kind)
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    return reader.end()


def events(*values: object) -> bytes:
    return b"".join(
        b"event: x\r\ndata: " + json.dumps(one).encode() + b"\r\n\r\n" for one in values
    )


OPENAI_CHAT = {"model": "gpt-5", "usage": {"prompt_tokens": 10, "completion_tokens": 3}}
OPENAI = {"model": "gpt-5", "usage": {"input_tokens": 10, "output_tokens": 3}}
CLAUDE = {
    "model": "claude-5",
    "usage": {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 3},
}
GEMINI = {
    "modelVersion": "gemini-4",
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 1},
}


@pytest.mark.parametrize(
    ("kind", "body", "model"),
    [
        (JSON, json.dumps(OPENAI_CHAT).encode(), "gpt-5"),
        (JSON, json.dumps(OPENAI).encode(), "gpt-5"),
        (JSON, json.dumps(CLAUDE).encode(), "claude-5"),
        (JSON, json.dumps(GEMINI).encode(), "gemini-4"),
        (JSON, json.dumps([{"modelVersion": "gemini-4"}, GEMINI]).encode(), "gemini-4"),
        (EVENTS, events({"model": "gpt-5", "usage": None}, OPENAI_CHAT) + b"data: [DONE]", "gpt-5"),
        (EVENTS, events({"type": "response.completed", "response": OPENAI}), "gpt-5"),
        (
            EVENTS,
            events(
                {"type": "message_start", "message": {**CLAUDE, "usage": {"input_tokens": 10}}},
                {"type": "message_delta", "usage": {"output_tokens": 1}},
                {"type": "message_delta", "usage": {"output_tokens": 3}},
            ),
            "claude-5",
        ),
        (EVENTS, events(GEMINI)[:-4], "gemini-4"),
    ],
)
def test_usual_services_say_model_and_tokens(kind: bytes, body: bytes, model: str) -> None:
    assert said(kind, body) == Usage(model, 10, 3)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"text/html", json.dumps(OPENAI).encode()),
        (JSON, b"{"),
        (JSON, b"\xff\xfe"),
        (JSON, b"[" * 100_000),
        (JSON, json.dumps({"model": "a b\x1b[31m", "usage": {"input_tokens": -1}}).encode()),
        (JSON, json.dumps({"model": 5, "usage": {"input_tokens": True}}).encode()),
        (JSON, json.dumps({"usage": {"input_tokens": 10**30, "output_tokens": 1.5}}).encode()),
        (JSON, json.dumps({"usage": [1]}).encode()),
        (EVENTS, b"data: nothing\n\n"),
        (JSON, b'{"model": "gpt-5", "x": "' + b"x" * MOST + b'"}'),
    ],
)
def test_anything_else_says_nothing(kind: bytes, body: bytes) -> None:
    assert said(kind, body, 1 << 16) == Usage()


def test_what_was_said_before_an_event_that_is_too_large_stays() -> None:
    body = events(OPENAI) + b"data: " + b"x" * (MOST + 1)
    assert said(EVENTS, body, 1 << 16) == Usage("gpt-5", 10, 3)
