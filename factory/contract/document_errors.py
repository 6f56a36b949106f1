"""Word a model's errors about a document as sentences with places.

The model knows what is wrong; the StrictDocument knows the place. Both are joined here, so that
every refusal reads `label: expected X, found Y; what to do`. Does not know which file is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from factory.model.wording import found, label_of, unknown_key
from factory.strict.document import Document, Mismatch, Objection
from factory.strict.values import DocumentError, Problem, StrictDocument, Value, child, plain

Model = TypeVar("Model", bound=Document)

_WANTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", "put it in quotes"),
    "int_type": ("a whole number", "write digits, without quotes or fraction"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "tuple_type": ("a list", "write [a, b], or one item a line"),
    "dict_type": ("a mapping", "write key and value pairs"),
    "mapping_type": ("a mapping", "write key and value pairs"),
    "model_type": ("a mapping", "write key and value pairs"),
}


def load(model: type[Model], document: StrictDocument) -> Model:
    """Return `document` as a `model`. Raise DocumentError with every problem, in the order of the
    file.
    """
    try:
        return model.model_validate(plain(document.value))
    except Mismatch as error:
        found = [_problem(model, document, objection) for objection in error.objections]
    raise DocumentError(*in_order(found))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by place, each sentence once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda found: (found.line, found.column)))


def _problem(model: type[Document], document: StrictDocument, objection: Objection) -> Problem:
    kind, location = objection.kind, objection.place
    pointer, value = _follow(document.value, location)
    if kind == "extra_forbidden":
        sentence, hint = unknown_key(str(location[-1]), _known_keys(model, location[:-1]))
        return Problem(sentence, *document.key_place(pointer), hint)
    if kind == "missing":
        inside = f"{label_of(pointer)}: " if pointer else ""
        return Problem(
            f'{inside}the key "{location[-1]}" is missing', *document.place(pointer), "add it"
        )
    sentence, hint = _sentence(objection, value)
    label = label_of(pointer)
    on_key = location and location[-1] == "[key]"
    place = document.key_place(pointer) if on_key or value is None else document.place(pointer)
    if kind == "unfit":
        shown = (
            f"{found(_last_name(pointer) if on_key else value)} "
            if on_key or _is_scalar(value)
            else ""
        )
        return Problem(f"{label}: {shown}{sentence}", *place, hint)
    return Problem(f"{label}: {sentence}" if label else sentence, *place, hint)


def _sentence(objection: Objection, value: Value) -> tuple[str, str]:
    kind, _, context = objection
    if kind == "unfit":
        return context["problem"], context["hint"]
    if kind == "unexpected":
        return f"expected {context['wanted']}, found {found(value)}", context["hint"]
    if kind in _WANTED:
        wanted, hint = _WANTED[kind]
        return f"expected {wanted}, found {found(value)}", _hint_for(value, hint)
    bounds = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    if kind in bounds:
        word, bound = bounds[kind]
        return (
            f"expected {word} {context[bound]}, found {found(value)}",
            f"write {word} {context[bound]}",
        )
    if kind == "literal_error":
        return (
            f"expected {context['expected']}, found {found(value)}",
            f"write {context['expected']}",
        )
    return objection.message, "write it as the schema says"


def _hint_for(value: Value, hint: str) -> str:
    if value is None:
        return "give it a value, or remove the key"
    return hint if _is_scalar(value) or "quotes" not in hint else "write a single value"


def _follow(value: Value, location: tuple[str | int, ...]) -> tuple[str, Value]:
    """Return the pointer and value at the place of an objection, as far as the document goes."""
    pointer = ""
    for part in location:
        inner = _inner(value, part)
        if inner is not None:
            (value,) = inner
            pointer = child(pointer, part)
    return pointer, value


def _inner(value: Value, part: str | int) -> tuple[Value] | None:
    """Return the member or item `part`, in a tuple of one; None if the document has no such
    thing.
    """
    if isinstance(value, Mapping) and isinstance(part, str) and part in value:
        return (value[part],)
    if isinstance(value, tuple) and isinstance(part, int) and part < len(value):
        return (value[part],)
    return None


def _known_keys(model: type[Document], location: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the keys of the model at `location`."""
    here: type[Document] = model
    for part in location:
        inner = here.model_fields.get(str(part))
        if inner is not None:
            here = _model_in(inner.annotation) or here
    return tuple(here.model_fields)


def _model_in(annotation: Any) -> type[Document] | None:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _model_in(argument)
        if inner is not None:
            return inner
    return None


def _last_name(pointer: str) -> str:
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _is_scalar(value: Value) -> bool:
    return isinstance(value, (bool, int, float, str))
