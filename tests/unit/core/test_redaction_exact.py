"""The search by literals finds what looking at every place finds: nothing is lost by its speed."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.redact import literals
from factory.redact.credential_forms import FORMS, Form
from factory.redact.literals import Plain
from factory.redact.reading_through import BETWEEN_DIGITS, LINE_ENDS, Narrow, Through
from factory.redact.redaction import (
    Place,
    Redactor,
    _united,
    base64_forms,
    straight_forms,
)
from tests.unit.core.test_redaction import CREDENTIALS, HEXADECIMAL, VALUE, VARIANTS, letters

WORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
KIND = "value of DEPLOY_TOKEN"
REDACTOR = Redactor([("DEPLOY_TOKEN", VALUE)])


def in_form(text: bytes, form: Form) -> Iterator[tuple[int, int]]:
    """The rule itself: at each anchor in turn, from one end of the text to the other."""
    at = text.find(form.anchor)
    while at >= 0:
        after = at + len(form.anchor)
        if form.within or at == 0 or text[at - 1] not in WORD:
            found = form.whole.match(text, at)
            if found is not None:
                end = max(found.end(), found.end("secret"))
                secret = found["secret"]
                if secret is not None and not form.harmless(text[at:end], secret):
                    yield found.start("secret"), found.end("secret")
                after = form.after(at, found.end())
        at = text.find(form.anchor, after)


def every(text: bytes, part: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def exact(text: bytes) -> tuple[Place, ...]:
    """Every place, each literal and each form looked for by itself."""
    found: list[Place] = []
    narrow = Narrow(text)
    for form in FORMS:
        found += [Place(start, end, form.kind) for start, end in in_form(text, form)]
        for start, end in in_form(narrow.content, form):
            last = min(narrow.origin(end - 1) + 1, len(text))
            found.append(Place(narrow.origin(start), last, form.kind))
    for each in straight_forms(VALUE):
        found += [Place(at, at + len(each), KIND) for at in every(text, each)]
    for dropped, lower, forms in (
        (LINE_ENDS, False, base64_forms(VALUE)),
        (BETWEEN_DIGITS, True, (binascii.hexlify(VALUE),)),
    ):
        through = Through(text, dropped, lower)
        for each in forms:
            for at in every(through.content, each):
                last = through.origin(at + len(each) - 1) + 1
                found.append(Place(through.origin(at), last, KIND))
    return _united(found)


WHOLE = [text.encode() for _, text in (*CREDENTIALS.items(), *VARIANTS)]
PARTS = st.one_of(
    st.sampled_from(WHOLE),
    st.sampled_from([form.anchor for form in FORMS]),
    st.sampled_from([text.encode() for text in HEXADECIMAL.values()]),
    st.sampled_from(
        [*straight_forms(VALUE), *base64_forms(VALUE), b"\0", b"\n", b" ", b"x", b"AKI", b'"auth']
    ),
    st.sampled_from(WHOLE).map(lambda text: text.decode().encode("utf-16-le")),
    st.sampled_from(WHOLE).map(lambda text: text.decode().encode("utf-16-be")),
    st.tuples(st.sampled_from(WHOLE), st.integers(1, 60)).map(lambda both: both[0][: both[1]]),
    st.binary(max_size=6),
    st.integers(1, 50).map(lambda count: letters(count).encode()),
)


@pytest.mark.parametrize("compiled", [True, False])
@given(parts=st.lists(PARTS, max_size=10))
@settings(deadline=None)
def test_the_same_places_are_found(compiled: bool, parts: list[bytes]) -> None:
    text = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        if compiled:
            patch.setattr(literals, "_WORTH_COMPILING", 0)
            patch.setattr(literals, "_WINDOW", 16)
        assert REDACTOR.places(text) == exact(text)


def test_the_oracle_sees_every_kind() -> None:
    for kind, text in (*CREDENTIALS.items(), *VARIANTS):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            whole = f"<{text}\n".encode(encoding)
            assert {place.kind for place in exact(whole)} == {kind}


def test_a_large_text_is_searched_as_its_parts_are() -> None:
    filler = bytes(range(256)) * 400
    text = filler.join(f" {text}\n".encode() for text in CREDENTIALS.values())
    assert len(text) > 2 * literals._WINDOW
    found = REDACTOR.places(text)
    assert {place.kind for place in found} == set(CREDENTIALS)
    assert found == exact(text)
    plain = Redactor([("DEPLOY_TOKEN", VALUE)])
    plain._literals = Plain(
        [*straight_forms(VALUE), *(form.anchor for form in FORMS)]
        + [b"\0".join(bytes((each,)) for each in form.anchor) for form in FORMS]
    )
    assert plain.places(text) == found
