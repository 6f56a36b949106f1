"""HTML, JUnit and SARIF: what they say is the verdict's, what a pack wrote is only text, and one
run gives one file.
"""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given

from factory.model.evidence import OverlapRecord, RecheckRecord
from factory.model.finding import Finding, Location
from factory.model.findings.catalogue import CATALOGUE
from factory.model.inert import for_eyes, for_sarif
from factory.report.annotations import MOST, annotate
from factory.report.html import report_html
from factory.report.junit import junit_xml
from factory.report.markup import Markup, joined, lines_of, relative_uri, tag
from factory.report.run_view import (
    EXCERPT_CHARACTERS,
    LAST_LINES,
    RunView,
    Span,
    WhenAndWhere,
    excerpt,
    facts_of,
    last_lines,
)
from factory.report.sarif import results_sarif
from factory.verify.documents import RunStatus as ReadStatus
from factory.verify.html_page import read_page
from tests.hostile_text import ANY_TEXT, HOSTILE
from tests.report_kit import bundle, changed, check, finding, line, spoilt, status
from tests.sample import examples

BLOCKED = status(
    status="BLOCKED",
    packs=(
        line("TASK-0101"),
        line("TASK-0104", status="BLOCKED", title="Links", why="Dead links.", checks=2),
    ),
    findings=(
        finding("OVERLAP", "both change docs/index.md"),
        finding("REPO_DIRTY", "3 files", severity="warning"),
        finding(
            "CHECK_FAILED",
            "tests-1 `pytest -q` ended with 1",
            facts={"label": "tests-1"},
            pack="TASK-0104",
            file="a b/acceptance.yml",
            line=4,
        ),
        finding("SCOPE_DENIED", "README.md was changed", pack="TASK-0104", hint="Leave it."),
        finding(
            "MERGE_BROKEN",
            "tests-1 `pytest` passes alone and fails",
            facts={"label": "tests-1", "tree": "merged"},
            pack="TASK-0101",
        ),
    ),
    rechecks=(
        RecheckRecord(
            pack="TASK-0101",
            label="tests-1",
            run="pytest",
            outcome="broken",
            rc=1,
            culprits=("TASK-0104",),
        ),
        RecheckRecord(
            pack="TASK-0104", label="tests-1", run="pytest -q", outcome="as-accepted", rc=0
        ),
    ),
    overlaps=(
        OverlapRecord(
            first="TASK-0101",
            second="TASK-0104",
            path="docs/i.md",
            other_path="docs/i.md",
            hidden=False,
        ),
    ),
    largest_set=("TASK-0101",),
    smallest_conflict=("TASK-0101", "TASK-0104"),
    properties_accepted=("pids_bounded",),
    packs_committed=False,
)
RUN = RunView(
    BLOCKED,
    changed("docs/i.md", "x.bin"),
    {
        "TASK-0101": bundle("TASK-0101", check("step-1", "make"), check("tests-1", "pytest")),
        "TASK-0104": bundle(
            "TASK-0104",
            check("tests-1", "pytest -q", 1),
            excerpts={"tests-1": "E  2 < 3\n1 failed"},
        ),
    },
)


class Shape(HTMLParser):
    """The elements of a page, in order, with their attributes; an independent reading of what could
    act.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def shape(content: bytes) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    reader = Shape()
    reader.feed(content.decode())
    reader.close()
    return reader.found


def without_links(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [
        (name, tuple(pair for pair in attrs if pair[0] not in ("href", "aria-label")))
        for name, attrs in found
    ]


# ── HTML ─────────────────────────────────────────────────────────────────────


def test_the_page_says_the_verdict_first_and_then_everything() -> None:
    page = read_page(report_html(RUN))
    assert page.problem == ""
    assert page.title == f"BLOCKED · {BLOCKED.run_id}"
    assert page.verdict == "BLOCKED"
    assert page.head[0] == f"2 packs · 2 files, +2 −1 · tree {'d' * 12} on base {'b' * 12} (HEAD)"
    assert "Accepted weaker by the user: pids_bounded." in page.head
    assert page.rows["packs"][0] == (
        "TASK-0104 Links",
        "security",
        "BLOCKED",
        "1 file +2 −1",
        "1 of 2 ok",
        "Dead links.",
    )
    assert len(page.items) == 5
    assert page.rows["matrix"] == [
        ("TASK-0101", "·", "docs/i.md"),
        ("TASK-0104", "docs/i.md", "·"),
    ]
    assert page.rows["files"] == [
        ("docs/i.md", "modified", "+2 −1"),
        ("x.bin", "modified", "binary"),
    ]
    assert [(row[0], row[2]) for row in page.rows["checks"]] == [
        ("tests-1", "ended with 1"),
        ("step-1", "ok"),
        ("tests-1", "ok"),
    ]
    assert [(row[0], row[2]) for row in page.rows["rechecks"]] == [
        ("TASK-0101 tests-1", "broken with TASK-0104"),
        ("TASK-0104 tests-1", "as-accepted"),
    ]
    assert "E 2 < 3 1 failed" in page.rows["checks"][0][1]
    assert "a" * 64 in page.words["evidence"]
    assert "factory verify" in page.words["verify"]


def test_the_page_is_whole_in_itself_and_runs_nothing() -> None:
    text = report_html(RUN).decode()
    assert not re.search(
        r"<script|<img|<link|<iframe|javascript:|@import|url\(|https?://| on[a-z]+=| style=", text
    )
    assert text.count("Content-Security-Policy") == 1
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    headings = [name for name, _ in shape(report_html(RUN)) if re.fullmatch("h[1-6]", name)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    for name, attrs in shape(report_html(RUN)):
        if name == "th":
            assert dict(attrs)["scope"] in ("col", "row")


def test_a_run_that_found_nothing_says_so() -> None:
    page = report_html(RunView(status(merged_tree="", packs=()))).decode()
    assert "No finding." in page
    assert "nothing merged, base" in page
    assert "conflicts" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_element_of_a_page(text: str) -> None:
    content = report_html(spoilt(text))
    assert read_page(content).problem == ""
    assert without_links(shape(content)) == without_links(shape(report_html(spoilt("plain")))), text


@examples(25)
@given(ANY_TEXT.filter(bool))
def test_any_text_makes_no_element_of_a_page(text: str) -> None:
    content = report_html(spoilt(text))
    assert read_page(content).problem == ""
    found = shape(content)
    assert {name for name, _ in found} == {name for name, _ in shape(report_html(spoilt("plain")))}
    for _, attrs in found:
        for name, value in attrs:
            assert name != "href" or re.fullmatch(
                r"#[a-z]+(-[0-9]+)?|[A-Za-z0-9._~/%-]+", value or ""
            ), value


@examples(25)
@given(ANY_TEXT)
def test_only_artifacts_that_no_browser_runs_are_linked(text: str) -> None:
    names = (f"{text}.txt", f"../{text}.json", f"a/{text}/b.md", f"{text}.html", "a.svg", "b.txt/x")
    content = report_html(RunView(status(packs=(line("T-1", artifacts=names),))))
    assert read_page(content).problem == ""
    links = [value for _, attrs in shape(content) for name, value in attrs if name == "href"]
    linked = [link for link in links if link and "ARTIFACTS" in link]
    assert all(re.search(r"\.(txt|json|md)$", link) and "/../" not in link for link in linked)


def test_the_page_says_where_and_when_it_ran_and_shows_each_diff_with_its_lines() -> None:
    patch = (
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -9 +9,2 @@ top\n--- old\n+new <b>\n+\x1b[2J\n"
        "diff --git a/i.png b/i.png\nGIT binary patch\nliteral 3\nKcmZ\n\ndiff --git a/y b/y"
    )
    own = replace(bundle("TASK-0101", check("tests-1", "pytest")), patch=tuple(patch.split("\n")))
    facts = WhenAndWhere(
        "https://git.example/a.git",
        "2026-12-01T09:15:02.123Z",
        65_400,
        "x86_64 · sandbox full",
        (Span("preflight", 0, 400), Span("TASK-0101", 450, 60_000)),
    )
    content = report_html(RunView(status(), None, {"TASK-0101": own}, facts=facts))
    page = read_page(content)
    assert page.problem == ""
    assert page.facts["repository"] == "https://git.example/a.git"
    assert page.facts["date"] == "2026-12-01 09:15:02 UTC"
    assert page.facts["duration"] == "1 min 5.4 s"
    assert page.rows["timeline"] == [
        ("preflight", "0.0 s", "0.4 s", ""),
        ("TASK-0101", "0.5 s", "1 min 0.0 s", ""),
    ]
    assert page.diffs["pack-1"] == [
        *patch.split("\n")[:6],
        "+\\u001b[2J",
        "diff --git a/i.png b/i.png",
        "GIT binary patch",
        "diff --git a/y b/y",
    ]
    for shown in (
        '<span class="removed"><span class="n">    9       </span>--- old',
        '<span class="added"><span class="n">          9 </span>+new &lt;b&gt;',
        '<span class="added"><span class="n">         10 </span>+',
        'href="../TASK-0101/DIFF.patch"',
        'href="../TASK-0101/LOGS/tests-1.log"',
    ):
        assert shown in content.decode()


def test_facts_of_a_run_are_those_of_its_events() -> None:
    rows = b"backend\tfull\t\nfact\tkernel\t6.8\nfact\tmachine\tx86_64\n"
    assert facts_of((), rows) == WhenAndWhere(host="x86_64 · 6.8 · sandbox full")
    assert facts_of((), b"") == WhenAndWhere()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</main>", "<script>alert(1)</script></main>"),
        ("</main>", "<img src=x onerror=alert(1)></main>"),
        ("</main>", "<!-- x --></main>"),
        ("default-src 'none'", "default-src *"),
        ("<h1>", '<h1 onclick="x">'),
        ('href="#packs"', 'href="https://evil.example"'),
        ('href="#packs"', 'href="javascript:alert(1)"'),
        ("color-scheme:light dark", "color-scheme:light  dark"),
        ("</body>", "</body></body>"),
        (
            '<meta name="referrer" content="no-referrer">',
            '<meta http-equiv="refresh" content="0;url=//e">',
        ),
    ],
)
def test_a_page_that_could_act_is_named(old: str, new: str) -> None:
    text = report_html(RUN).decode()
    assert old in text or old.replace("'", "&#39;") in text
    for one, other in ((old, new), (old.replace("'", "&#39;"), new.replace("'", "&#39;"))):
        if one in text:
            assert read_page(text.replace(one, other).encode()).problem
            return


# ── markup ───────────────────────────────────────────────────────────────────


def test_markup_escapes_what_is_not_markup() -> None:
    assert tag("p", "<b>", Markup("<i>"), 3, class_='"x', open=True, id="").text == (
        '<p class="&quot;x" open>&lt;b&gt;<i>3</p>'
    )
    assert joined("a&b", tag("br")).text == "a&amp;b<br>"
    with pytest.raises(ValueError, match="expected a name"):
        tag("p onclick=x")
    with pytest.raises(ValueError, match="expected a name"):
        tag("p", **{"x y": "1"})


@given(ANY_TEXT)
def test_any_text_is_one_text_in_xml(text: str) -> None:
    node = ET.fromstring(tag("a", text, b=text).text)
    assert (node.text or "", node.get("b", ""), len(node)) == (
        for_eyes(text),
        for_eyes(text) if text else "",
        0,
    )
    lines = ET.fromstring(tag("a", lines_of(text)).text).text or ""
    assert lines.count("\n") == text.replace("\r\n", "\n").count("\n") or "\x1b" in text


@given(ANY_TEXT)
def test_a_relative_uri_names_no_other_place(text: str) -> None:
    assert re.fullmatch(r"(?:\./)?[A-Za-z0-9._~/%-]*", relative_uri(text))
    assert not relative_uri(text).startswith("/")


# ── JUnit ────────────────────────────────────────────────────────────────────


def test_junit_has_a_case_for_every_command_and_every_other_finding() -> None:
    top = ET.fromstring(junit_xml(RUN))
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("7", "4", "0")
    suites = {suite.get("name"): suite for suite in top}
    assert list(suites) == [BLOCKED.run_id, "TASK-0101", "TASK-0104"]
    assert suites[BLOCKED.run_id].findtext("system-out") == "warning REPO_DIRTY: 3 files"
    told = {(case.get("classname"), case.get("name")): case for case in top.iter("testcase")}
    failed = told["TASK-0104", "tests-1 pytest -q"].find("failure")
    assert failed is not None
    assert failed.get("type") == "CHECK_FAILED"
    assert (failed.text or "").endswith("acceptance.yml:4\n\nE  2 < 3\n1 failed")
    assert told["TASK-0101", "tests-1 pytest"].find("failure") is None
    broken = told["TASK-0101.merged-tree", "tests-1 pytest"].find("failure")
    assert broken is not None
    assert broken.get("type") == "MERGE_BROKEN"
    assert ("TASK-0104.findings", "SCOPE_DENIED README.md was changed") in told


def test_a_command_that_failed_without_a_finding_is_still_a_failure_and_a_crash_is_an_error() -> (
    None
):
    bare = RunView(
        status(findings=(finding("CRASH", "boom"),)),
        None,
        {"TASK-0101": bundle("TASK-0101", check("step-1", "x", 3))},
    )
    top = ET.fromstring(junit_xml(bare))
    assert (top.get("failures"), top.get("errors")) == ("1", "1")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_element_of_test_results(text: str) -> None:
    content = junit_xml(spoilt(text))
    assert b"<!" not in content
    assert b"]]>" not in content
    plain = [node.tag for node in ET.fromstring(junit_xml(spoilt("plain"))).iter()]
    assert [node.tag for node in ET.fromstring(content).iter()] == plain


# ── SARIF ────────────────────────────────────────────────────────────────────


def judge_sarif(document: Any) -> list[dict[str, Any]]:
    """The rules of SARIF 2.1.0 that a log of ours has to keep (sections 3.13, 3.14, 3.19, 3.27,
    3.29, 3.30, 3.49).
    """
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    assert all(isinstance(each["executionSuccessful"], bool) for each in run["invocations"])
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        for place in result["locations"]:
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri), uri
            assert not uri.startswith("/")
            region = place["physicalLocation"].get("region", {"startLine": 1})
            assert region["startLine"] >= 1
            assert region.get("startColumn", 1) >= 1
    prints = [json.dumps(result["partialFingerprints"]) for result in run["results"]]
    assert len(set(prints)) == len(prints)
    return run["results"]


def test_sarif_has_every_finding_with_its_rule_level_and_place() -> None:
    document = json.loads(results_sarif(RUN))
    results = judge_sarif(document)
    assert [result["ruleId"] for result in results] == [row.id for row in BLOCKED.findings]
    assert results[1]["level"] == "warning"
    assert results[2]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b/acceptance.yml"},
        "region": {"startLine": 4},
    }
    assert results[3]["message"]["text"] == "TASK-0104: README.md was changed Leave it."
    rule = next(
        rule for rule in document["runs"][0]["tool"]["driver"]["rules"] if rule["id"] == "OVERLAP"
    )
    assert rule["shortDescription"]["text"].lower().rstrip(".") == CATALOGUE["OVERLAP"].meaning
    assert document["runs"][0]["properties"]["status"] == "BLOCKED"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_link_and_no_place_of_findings(text: str) -> None:
    results = judge_sarif(json.loads(results_sarif(spoilt(text))))
    assert results[1]["message"]["text"] == for_sarif(" ".join(f"{text} {text}".split()))


# ── all of them ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("render", [report_html, junit_xml, results_sarif])
def test_one_run_gives_one_file_and_its_text_is_plain(render: Any) -> None:
    assert render(RUN) == render(RUN)
    assert render(RUN).endswith(b"\n")
    shown = render(spoilt("".join(HOSTILE))).decode()
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", shown
    )


def test_an_excerpt_is_the_end_of_a_log() -> None:
    assert excerpt(b"one\ntwo\n") == "one\ntwo"
    assert excerpt(b"".join(b"%d\n" % n for n in range(50))).split("\n")[:2] == ["…", "30"]
    assert len(excerpt(b"x" * 10**6)) == EXCERPT_CHARACTERS + 2
    assert excerpt(b"\xff") == "\\xff"
    assert excerpt(b"") == ""


def test_the_last_lines_of_a_log_are_few_short_and_not_blank() -> None:
    assert last_lines(b"one\n\n\x1b[31mtwo\x1b[0m  \n\n") == ("one", "two")
    assert last_lines(b"".join(b"%d\n" % n for n in range(50))) == tuple(
        str(n) for n in range(50 - LAST_LINES, 50)
    )
    assert [len(line) for line in last_lines(b"x" * 10**6)] == [300]
    assert last_lines(b"") == ()


def test_the_checker_reads_the_status_that_is_rendered() -> None:
    assert {"findings", "packs", "rechecks"} <= set(ReadStatus.__dataclass_fields__)


# ── annotations ──────────────────────────────────────────────────────────────


def test_a_github_job_gets_annotations_errors_first() -> None:
    stream = io.StringIO()
    found = [
        Finding("REPO_SHALLOW"),
        Finding(
            "PACK_INVALID",
            {"problem": "a,b: changed 100%\nx", "advice": "Leave it."},
            "TASK-1",
            Location("a:b.yml", 3, 7),
        ),
    ]
    annotate(stream, {"GITHUB_ACTIONS": "true"}, found)
    assert stream.getvalue() == (
        "::error file=a%3Ab.yml,line=3,col=7,title=PACK_INVALID::"
        "TASK-1: a,b: changed 100%25\\u000ax Leave it.\n"
        "::warning title=REPO_SHALLOW::expected the whole history, found a shallow clone this is"
        " fine for a run; to have all of it: git fetch --unshallow\n"
    )


def test_nobody_else_gets_annotations_and_nobody_too_many() -> None:
    stream = io.StringIO()
    annotate(stream, {}, [Finding("CRASH")])
    annotate(stream, {"GITHUB_ACTIONS": "false"}, [Finding("CRASH")])
    annotate(stream, {"GITHUB_ACTIONS": "true"}, [])
    assert stream.getvalue() == ""
    annotate(stream, {"GITHUB_ACTIONS": "true"}, [Finding("CRASH")] * 200)
    assert stream.getvalue().count("\n") == MOST
