"""The product's own source as the tests of its form read it: each text is parsed once."""

from __future__ import annotations

import ast
from functools import cache


@cache
def parsed(text: str | bytes) -> ast.Module:
    """Return the tree of a module's text, the same object each time: no test may change it."""
    return ast.parse(text)


@cache
def nodes(text: str | bytes) -> tuple[ast.AST, ...]:
    """Return every node of a module's text, in the order of `ast.walk`."""
    return tuple(ast.walk(parsed(text)))
