"""List findings about what Git stores of a change: ignore rules and attributes."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, warning

STORED: Mapping[str, CatalogueEntry] = {
    "IGNORED_IN_SCOPE": warning(
        "new files in the scope are no part of the change, since ignore rules name them",
        sentence="{count:new file|new files} in the scope left out, which .gitignore names:"
        " {paths}",
        hint="If they belong to the result, name the path or the ignored folder in"
        " scope.allowed_paths as it is, without a wildcard before it; else name them under"
        " discard.",
        examples=({"count": 1, "paths": ("dist/app.js",)},),
    ),
    "ATTRIBUTES_DISAGREE": warning(
        "a changed file is stored otherwise than .gitattributes says",
        sentence={
            "eol": "{paths} stored with CRLF; .gitattributes says text (eol={value}), which Git"
            " stores with LF",
            "encoding": "{paths} stored as other than UTF-8; .gitattributes says"
            " working-tree-encoding={value}, which Git stores as UTF-8",
            "ident": "{paths} stored with an expanded $Id$; .gitattributes says {value}, for which"
            " Git stores $Id$",
            "lfs": "{paths} stored as raw content; .gitattributes says filter={value}, which"
            " stores a pointer of Git LFS",
            "filter": "{paths} stored as the steps left it; .gitattributes says"
            " filter={value}, which was not run",
        },
        hint={
            "eol": "Write it with LF: a fresh checkout shows it as modified.",
            "encoding": "Write it as UTF-8: no checkout can convert it.",
            "ident": "Write $Id$: a fresh checkout shows it as modified.",
            "lfs": "Write the pointer, and upload the object: git lfs fsck of the result fails.",
            "filter": "Write what the filter would store, or leave that file out of the scope.",
        },
        examples=tuple(
            {"case": case, "value": value, "paths": ("src/a",)}
            for case, value in (
                ("eol", "crlf"),
                ("encoding", "UTF-16"),
                ("ident", "ident"),
                ("lfs", "lfs"),
                ("filter", "git-crypt"),
            )
        ),
    ),
}
