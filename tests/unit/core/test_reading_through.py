"""Where each byte of a reading stood in the text, for any text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.redact.reading_through import BETWEEN_DIGITS, LINE_ENDS, Narrow, Through


@given(
    st.text(alphabet="aB0 :\r\nx\\", max_size=900),
    st.sampled_from([LINE_ENDS, BETWEEN_DIGITS]),
    st.booleans(),
)
def test_each_byte_has_its_place(text: str, dropped: bytes, lower: bool) -> None:
    whole = text.encode()
    through = Through(whole, dropped, lower)
    places = [at for at, byte in enumerate(whole) if byte not in dropped]
    assert [through.origin(at) for at in range(len(through.content))] == places
    kept = bytes(whole[at] for at in places)
    assert through.content == (kept.lower() if lower else kept)


@given(
    st.lists(
        st.sampled_from(
            [b"\0a", b"a\0", b"\xe9\0", b"zz", b"\0\0", b"\n\0", "word".encode("utf-16-le")]
        )
    )
)
def test_each_character_of_utf_16_has_its_place(parts: list[bytes]) -> None:
    text = b"".join(parts)
    narrow = Narrow(text)
    for at, char in enumerate(narrow.content):
        if char != 0xFF and narrow.content[at : at + 2] != b"\n\xff":
            assert text[narrow.origin(at)] == char


def test_a_word_either_way_round_is_read() -> None:
    for order in ("utf-16-le", "utf-16-be"):
        assert Narrow("word".encode(order)).content.startswith(b"word")
        assert Narrow(b"\xff" + "word".encode(order) + b"\xff").content == b"word\n\xff"
    assert Narrow(b"word" * 9 + bytes(99)).content == b""
