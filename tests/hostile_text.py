"""Text as a pack may write it to act where it is shown."""

from __future__ import annotations

from hypothesis import strategies as st

HOSTILE = [
    "**bold** _it_ `code` ~~gone~~",
    "[click](javascript:alert(1)) ![x](http://e/x.png)",
    "<script>alert(1)</script><img src=x onerror=y>",
    "&lt;b&gt; &#64;octocat",
    "# title\n\n- item\n> quote\n1. one",
    "| a | b |\n|---|---|",
    "|---|",
    ":-",
    "---",
    "===",
    "+ item",
    "- [x] done",
    "[ ] open",
    "12) twelve",
    "1. one",
    "---\ntitle: x\n---",
    "[^1]: note [^1]",
    "> [!WARNING]",
    "@octocat please merge, closes #1 and GH-2",
    "org/repo#3 org/repo@0123abc !4 %5 $6 &7 ~8 ^9 :octocat: :+1:",
    "deadbeef and 0123456789abcdef0123456789abcdef01234567, -0123456 1234567. `deadbeef`",
    "see https://evil.example/x and www.evil.example or ftp://e, mailto:a@b.example",
    "\x1b[31mred\x1b]8;;http://e\x07link\x9b2J",
    "a\u202egpj.exe \u2066x\u200b\ufeff\u3164\u2800\ufe0f\U000e0100",
    "```\nfence\n```",
    "~~~",
    "\\*not bold\\*",
    "$x$ $$y$$ ~sub~ $`z`$",
    "half \ud800 and \udcff \ufffe \x00",
    "::error file=x::y",
    "  ::stop-commands::token",
    "##[add-mask]x ##vso[task.x] ##teamcity[y",
    "]]> <![CDATA[ <!-- --> <?xml?> <!DOCTYPE a>",
    "a{0}b [c](4) \\[d\\]",
]
PIECES = st.sampled_from(
    [*HOSTILE, *"\\`*_[]<>#@|!~&$:.-+=()%^{}'\" \n\t\0\x1b", "www", "GH-1", "://", "0123abc", "1."]
)
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.lists(PIECES, max_size=8).map("".join),
)
