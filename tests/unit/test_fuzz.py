"""Every parser under mutated input: an answer or its own refusal, and two readers of one thing
never see two things.

The session `fuzz` does the same for minutes, guided by coverage.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz_targets import BY_NAME, TARGETS, Target
from tests.sample import examples

TOKENS = (
    *(
        b"",
        b"\0",
        b"\n",
        b"\r\n",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"9" * 400,
        b"-1",
        b"1e999",
        b"NaN",
    ),
    *(
        b"Infinity",
        b"\\ud800",
        b"\\u0000",
        b'"',
        b"'",
        b"{",
        b"[" * 200,
        b"{" * 200,
        b"]",
        b"}",
        b":",
        b",",
        b"#",
        b"- ",
    ),
    *(
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!python/object ",
        b"---\n",
        b"%YAML 9\n",
        b"? ",
        b"| \n",
        b"true",
        b"null",
        b"0x1",
        b"0o7",
    ),
    *(
        b"1_000",
        b"1:30",
        b"2026-01-01",
        b"../",
        b"/",
        b"\\",
        b".git",
        b"*",
        b"**",
        b"?",
        b"A==",
        b"=",
        b"+",
        b"0" * 64,
    ),
    *(
        b"[[a]]\n",
        b'"""',
        b"'''",
        b" \\\n",
        b"==",
        b"--hash=sha256:",
        b"\xe2\x80\x94 ",
        b"\x7f",
        b"\xc2\x85",
        b"\t",
    ),
)


@st.composite
def mutated(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with a few pieces replaced, doubled or cut."""
    raw = draw(st.sampled_from(target.seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + draw(st.sampled_from([0, 1, 8, 64])))))
        piece = draw(
            st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4), st.just(raw[start:end] * 2))
        )
        raw = raw[:start] + piece + raw[end:]
    return raw


@pytest.mark.parametrize("target", TARGETS, ids=list(BY_NAME))
def test_its_seeds_are_read(target: Target) -> None:
    for seed in target.seeds:
        target(seed)
    assert target.seeds


@pytest.mark.parametrize("target", TARGETS, ids=list(BY_NAME))
def test_nothing_but_its_own_refusal(target: Target) -> None:
    @given(st.one_of(mutated(target), mutated(target), st.binary(max_size=64)))
    @examples(15)
    def holds(raw: bytes) -> None:
        target(raw)

    holds()


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b"9" * 100_000,
        b'{"pid": ' + b"9" * 40 + b"}",
        b'{"pid": Infinity}',
        b"{" * 3000,
        b"\xff" * 70_000,
    ],
    ids=["depth", "digits", "large", "infinite", "open", "binary"],
)
@pytest.mark.parametrize("target", TARGETS, ids=list(BY_NAME))
def test_what_breaks_readers_breaks_none_of_ours(target: Target, raw: bytes) -> None:
    target(raw)
    target(target.seeds[0] + raw)
