"""Find credentials in a text by their known values and by the forms that issuers give them.

Rule: bytes in, places out. A place is cut from a text before anything else sees it, so no writer
decides this for itself. A text that ends in the middle of a credential loses that part too. Does
not know where a text comes from, who wrote it, or what a place in it means for a verdict.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from factory.redact.credential_forms import FORMS, Form, Pattern
from factory.redact.literals import Found, Plain, literals_of
from factory.redact.reading_through import BETWEEN_DIGITS, LINE_ENDS, Narrow, Through

# A shorter value, or one of a few small letters only, is a word that occurs everywhere by chance:
# POSTGRES_PASSWORD is `postgres` in many a workflow.
SHORTEST_VALUE = 8
LONGEST_WORD = 15
# Larger texts without any are recognised by their digest: evidence is searched several times.
_WORTH_KNOWING = 1 << 16
_MOST_KNOWN = 4096
# Bytes that a stream keeps without searching them again for each piece that comes.
_WORTH_A_LOOK = 1 << 12
# Bytes before a word that show if it begins there, also in UTF-16.
_CONTEXT = 2
# What a cut text may end with before it counts as the beginning of a known value.
SHORTEST_START = 6


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Mark bytes `start` to `end` of a text as a credential; `kind` is a word that reveals nothing
    of it.
    """

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """Contain a text without its credentials, and the kinds that were cut, in order of their
    places.
    """

    content: bytes
    kinds: tuple[str, ...]


class Redactor:
    """Search for values (name → value) and forms: those of common credentials, or those given.

    `spared` are digests (SHA-256, hex) of what is no credential, whatever form it has.
    """

    def __init__(
        self,
        values: Iterable[tuple[str, bytes]] = (),
        forms: tuple[Form, ...] = FORMS,
        spared: frozenset[str] = frozenset(),
    ) -> None:
        self._spared = spared
        self._forms = forms
        known = {
            value: f"value of {name}" for name, value in sorted(values) if not _is_a_word(value)
        }
        self._straight = tuple(
            (form, kind) for value, kind in known.items() for form in straight_forms(value)
        )
        # Encoders break lines and part bytes where they like: what they wrote is looked for in the
        # text without that.
        encoded = tuple(
            (form, kind) for value, kind in known.items() for form in base64_forms(value)
        )
        digits = tuple((binascii.hexlify(value), kind) for value, kind in known.items())
        self._parted = (
            ((LINE_ENDS, False, encoded), (BETWEEN_DIGITS, True, digits)) if known else ()
        )
        self._clean: set[bytes] = set()
        self._wide = tuple((form, _wide_core(form)) for form in forms)
        self._literals = literals_of(
            (
                *(form for form, _ in self._straight),
                *(form.anchor for form in forms),
                *(core for _, core in self._wide),
            )
        )
        self._parted_literals = tuple(
            literals_of(form for form, _ in encoded) for _, _, encoded in self._parted
        )

    def places(self, text: bytes, cut: bool = False, digest: bytes = b"") -> tuple[Place, ...]:
        """Return every credential in `text`, sorted, none overlapping.

        `cut` says that the text may end within one; `digest` is its SHA-256 where that is known.
        """
        if len(text) < _WORTH_KNOWING or cut:
            return self._places(text, cut)
        digest = digest or hashlib.sha256(text).digest()
        if digest in self._clean:
            return ()
        places = self._places(text, cut)
        if not places and len(self._clean) < _MOST_KNOWN:
            self._clean.add(digest)
        return places

    def _places(self, text: bytes, cut: bool) -> tuple[Place, ...]:
        found = self._literals.find(text)
        places = [*self._known(text, found), *self._in_form(text, found)]
        if cut:
            places += [*self._started(text), *self._form_started(text, found)]
        if self._spared:
            places = [each for each in places if not self._is_spared(text, each)]
        return _united(places)

    def _is_spared(self, text: bytes, place: Place) -> bool:
        return hashlib.sha256(text[place.start : place.end]).hexdigest() in self._spared

    def redact(self, text: bytes, cut: bool = False) -> Redacted:
        """Return `text` with a mark in the place of every credential, in a few passes."""
        return _without(text, self.places(text, cut))

    def settled(self, text: bytes) -> int:
        """Return the number of first bytes of `text` that cannot change, whatever comes after
        them.
        """
        least = len(text)
        for form, _ in self._straight:
            least = min(least, len(text) - _overlap(text, form))
        for place in self._parted_starts(text, 1):
            least = min(least, place.start)
        for each in self._forms:
            least = min(least, len(text) - _overlap(text, each.anchor))
        least = min(least, len(text) - _wide_overlap(text, self._forms))
        found = self._literals.find(text)
        return _before_all(
            (
                *self._form_started(text, found),
                *self._in_form(text, found, whole=True),
                *self._known(text, found),
            ),
            least,
        )

    def _known(self, text: bytes, found: Found) -> Iterator[Place]:
        """Yield the places of known values; `found` are the literals in `text`."""
        for form, kind in self._straight:
            for at in _apart(found.get(form, ()), len(form)):
                yield Place(at, at + len(form), kind)
        for (dropped, lower, forms), literals in zip(
            self._parted, self._parted_literals, strict=True
        ):
            through = Through(text, dropped, lower)
            within = literals.find(through.content)
            for form, kind in forms:
                for at in _apart(within.get(form, ()), len(form)):
                    end = through.origin(at + len(form) - 1) + 1
                    yield Place(through.origin(at), end, kind)

    def _begins(self, text: bytes, found: Found) -> Iterator[tuple[_Searched, Form, Sequence[int]]]:
        """Yield each form whose anchor occurs, and where: in `text` as it is, then as UTF-16."""
        plain = _Searched(text, None)
        for form in self._forms:
            if form.anchor in found:
                yield plain, form, found[form.anchor]
        wide = tuple(form for form, core in self._wide if core in found)
        if wide:
            narrow = Narrow(text)
            reading = _Searched(narrow.content, narrow)
            within = Plain(form.anchor for form in wide).find(narrow.content)
            for form in wide:
                if form.anchor in within:
                    yield reading, form, within[form.anchor]

    def _in_form(self, text: bytes, found: Found, whole: bool = False) -> Iterator[Place]:
        """Yield the places of what has the form of a credential.

        With `whole` each place begins at the anchor, since the name is needed to recognise a
        credential.
        """
        for reading, form, begins in self._begins(text, found):
            for match in _matches(reading.content, form, begins):
                start = match.start() if whole else match.start("secret")
                yield reading.place(form, start, match.end("secret"), text)

    def _form_started(self, text: bytes, found: Found) -> Iterator[Place]:
        """Yield, for each form, the first place that the end of `text` may cut.

        That place contains every other such place of its form.
        """
        for reading, form, begins in self._begins(text, found):
            for match in _looks(reading.content, form, form.begun, begins):
                if match["begun"] is not None:
                    at = match.start()
                    yield Place(reading.origin(at), len(text), form.kind)
                    break

    def _started(self, text: bytes) -> Iterator[Place]:
        """Yield the beginnings of known values that the text ends with."""
        for form, kind in self._straight:
            length = _overlap(text, form)
            if length >= SHORTEST_START:
                yield Place(len(text) - length, len(text), kind)
        yield from self._parted_starts(text, SHORTEST_START)

    def _parted_starts(self, text: bytes, shortest: int) -> Iterator[Place]:
        """Yield the beginnings of encoded values, of at least `shortest` characters, at the end of
        the text.
        """
        for dropped, lower, forms in self._parted:
            through = Through(text, dropped, lower)
            whole = len(through.content)
            for form, kind in forms:
                length = _overlap(through.content, form)
                if length >= shortest:
                    yield Place(through.origin(whole - length), through.origin(whole - 1) + 1, kind)


class Stream:
    """Redact a text that comes in pieces: a credential that spans pieces is cut as in the whole
    text.

    Output waits only for bytes that may still become part of a credential. Bytes that wait for long
    are searched again only after they have grown by a quarter, so that the whole costs a few looks
    at each byte.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._kept = b""
        self._fresh: list[bytes] = []  # what came since, and was not searched
        self._waits = 0  # how many bytes that is
        self._due = 0  # how many it must be before it is looked at
        # how many bytes of what is kept were given back already: they show whether a word begins
        self._seen = 0

    def feed(self, piece: bytes) -> bytes:
        """Return the part of the text so far that no later piece can change."""
        self._fresh.append(piece)
        self._waits += len(piece)
        if self._waits < self._due:
            return b""
        self._take()
        settled = self._redactor.settled(self._kept)
        shown = self._given(settled, cut=False) if settled > self._seen else b""
        self._due = len(self._kept) // 4 if len(self._kept) > _WORTH_A_LOOK else 0
        return shown

    def end(self) -> bytes:
        """Return the remaining text."""
        self._take()
        return self._given(len(self._kept), cut=True)

    def _take(self) -> None:
        self._kept = b"".join((self._kept, *self._fresh))
        self._fresh, self._waits = [], 0

    def _given(self, upto: int, cut: bool) -> bytes:
        text, shown = self._kept[:upto], self._seen
        # What follows matters too for what a credential is: the places are those of all kept bytes.
        # One that begins in what was given back already is none: what came before it is gone, so
        # that a word seems to begin there.
        found = tuple(
            place
            for place in self._redactor.places(self._kept, cut)
            if shown <= place.start and place.end <= upto
        )
        self._seen = min(_CONTEXT, upto)
        self._kept = self._kept[upto - self._seen :]
        return _without(text, found).content[shown:]


def _without(text: bytes, places: tuple[Place, ...]) -> Redacted:
    if not places:
        return Redacted(text, ())
    parts, at = [], 0
    for place in places:
        parts += [text[at : place.start], mark(place.kind)]
        at = place.end
    return Redacted(b"".join((*parts, text[at:])), tuple(place.kind for place in places))


# RFC 3986, 2.3.
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def _is_a_word(value: bytes) -> bool:
    return len(value) < SHORTEST_VALUE or (
        len(value) <= LONGEST_WORD and value.isalpha() and value.islower()
    )


def mark(kind: str) -> bytes:
    """Return what replaces a credential."""
    return f"[redacted: {kind}]".encode()


def straight_forms(value: bytes) -> tuple[bytes, ...]:
    """Return a value as it is, percent-encoded (wholly, or as in URLs), hexadecimal, escaped for
    JSON and in UTF-16; longest first.
    """
    quoted = b"".join(bytes((each,)) if each in _UNRESERVED else b"%%%02X" % each for each in value)
    lower = re.sub(rb"%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    wholly = b"".join(b"%%%02X" % each for each in value)
    digits = binascii.hexlify(value)
    escaped = (
        value.replace(b"\\", b"\\\\")
        .replace(b'"', b'\\"')
        .replace(b"\n", b"\\n")
        .replace(b"/", b"\\/")
    )
    plain = escaped.replace(b"\\/", b"/")
    forms = (value, quoted, lower, wholly, wholly.lower(), digits, digits.upper(), escaped, plain)
    return _longest_first((*forms, *_wide_forms(value)))


def _wide_forms(value: bytes) -> tuple[bytes, ...]:
    """Return a text in UTF-16, in both byte orders; () if it is no UTF-8."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return ()
    return text.encode("utf-16-le"), text.encode("utf-16-be")


def base64_forms(value: bytes) -> tuple[bytes, ...]:
    """Return the characters that a value yields in base64, at each of its three alignments.

    Characters at either end that depend on the neighbours are left out. Both alphabets of RFC 4648.
    """
    forms: list[bytes] = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        first = (before * 8 + 5) // 6
        own = (before + len(value)) * 8 // 6
        forms.append(encoded[first:own])
        forms.append(encoded[first:own].translate(bytes.maketrans(b"+/", b"-_")))
    return _longest_first(form for form in forms if len(form) >= SHORTEST_VALUE)


def _longest_first(forms: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(set(forms), key=lambda form: (-len(form), form)))


def _overlap(text: bytes, form: bytes) -> int:
    """Return how many last bytes of `text` are the beginning of `form`, but not all of it; the
    most.
    """
    tail = text[-(len(form) - 1) :] if len(form) > 1 else b""
    head = form[:_TELLTALE]
    at = tail.find(head)
    while at >= 0 and not form.startswith(tail[at:]):
        at = tail.find(head, at + 1)
    if at >= 0:
        return len(tail) - at
    last = tail[-_TELLTALE + 1 :]
    return next((len(last) - at for at in range(len(last)) if head.startswith(last[at:])), 0)


def _wide_overlap(text: bytes, forms: tuple[Form, ...]) -> int:
    """Return how many last bytes of `text` are the beginning of a form's anchor in UTF-16."""
    longest = max((len(form.anchor) for form in forms), default=0)
    if b"\0" not in text[-2 * longest :]:
        return int(any(text.endswith(form.anchor[:1]) for form in forms))
    wide = (
        form.anchor.decode("ascii").encode(order)
        for form in forms
        for order in ("utf-16-le", "utf-16-be")
    )
    return max((_overlap(text, anchor) for anchor in wide), default=0)


_TELLTALE = 8  # bytes that hardly any other text begins with


def _apart(places: Sequence[int], length: int) -> Iterator[int]:
    """Yield the places, in order, except those that begin within the one before."""
    after = 0
    for at in places:
        if at >= after:
            yield at
            after = at + length


def _wide_core(form: Form) -> bytes:
    """Return an anchor in UTF-16 without the NUL at one end, which is the same in both byte
    orders.
    """
    return b"\0".join(bytes((each,)) for each in form.anchor)


@dataclass(frozen=True, slots=True)
class _Searched:
    """Contain the bytes that are searched for forms: a text itself, or its ASCII parts in
    UTF-16.
    """

    content: bytes
    narrow: Narrow | None

    def origin(self, at: int) -> int:
        """Return the position in the text of byte `at` of the reading."""
        return at if self.narrow is None else self.narrow.origin(at)

    def place(self, form: Form, start: int, end: int, text: bytes) -> Place:
        """Return the place in the text of a part of the reading."""
        if self.narrow is None:
            return Place(start, end, form.kind)
        last = min(self.narrow.origin(end - 1) + 1, len(text))
        return Place(self.narrow.origin(start), last, form.kind)


def _matches(text: bytes, form: Form, begins: Sequence[int]) -> Iterator[re.Match[bytes]]:
    """Yield the credentials of a form in a text in which its anchor occurs at `begins`."""
    for found in _looks(text, form, form.whole, begins):
        secret = found["secret"]
        if secret is not None and not form.harmless(text[found.start() : _end(found)], secret):
            yield found


def _looks(
    text: bytes, form: Form, pattern: Pattern, begins: Sequence[int]
) -> Iterator[re.Match[bytes]]:
    """Yield each match of `pattern` at an anchor of the form.

    Not within a longer word unless the form allows it, and not within what an earlier match has
    read, so that no byte is read again and again.
    """
    number = 0
    while number < len(begins):
        at = begins[number]
        after = at + len(form.anchor)
        if form.within or at == 0 or text[at - 1] not in _WORD:
            found = pattern.match(text, at)
            if found is not None:
                yield found
                after = form.after(at, found.end())
        number = bisect.bisect_left(begins, after, number + 1)


def _end(found: re.Match[bytes]) -> int:
    return max(found.end(), found.end("secret"))


_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


def _before_all(places: Iterable[Place], least: int) -> int:
    """Return the last position at or before `least` that is inside no place; overlapping places
    count.
    """
    for place in sorted(places, key=lambda place: -place.end):
        if place.end >= least:
            least = min(least, place.start)
    return least


def _united(places: Iterable[Place]) -> tuple[Place, ...]:
    """Return places in order; overlapping ones become one, with the kind of the first and
    longest.
    """
    out: list[Place] = []
    for place in sorted(places, key=lambda place: (place.start, -place.end, place.kind)):
        if out and place.start < out[-1].end:
            out[-1] = Place(out[-1].start, max(out[-1].end, place.end), out[-1].kind)
        else:
            out.append(place)
    return tuple(out)
