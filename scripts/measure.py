"""Measure the code: sizes, helpers with one caller, importers, words, and literals that repeat.

    ./dev python scripts/measure.py            a table
    ./dev python scripts/measure.py --json     the same as JSON
    ./dev python scripts/measure.py --seven    the files of each change in ARCHITECTURE.md's table

Rule: facts from the syntax tree alone; nothing is imported or run. The figures are places to
look at, not gates.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
SMALL = 40
# A docstring that begins with one of these has no verb.
NO_VERB = re.compile(
    r"(What|Whether|Which|How|Where|As|Who|When|Why|A|An|The|One|All|Every|Findings)\b|`"
)
# Files that each change touched before, tests and documents included; "": nobody could say.
BEFORE = {
    "a finding": "5",
    "a rendering": "12",
    "a kind of acceptance": "12",
    "a field of the action key": "15",
    "a phase": "20",
    "a sandbox backend": "15+",
    "launch on another host": "",
}
# Names of evidence that one module should know.
LITERALS = (
    "STATUS.json",
    "FILES_CHANGED.json",
    "manifest.json",
    "RUN_MANIFEST.json",
    "ledger.jsonl",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One module: its dotted name, its lines and its syntax tree."""

    name: str
    lines: tuple[str, ...]
    tree: ast.Module


def read(folder: Path) -> tuple[Module, ...]:
    """Read every module below `folder`, in order of their names."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        if "corpus" in path.parts:
            continue
        text = path.read_text("utf-8")
        name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        found.append(Module(name, tuple(text.splitlines()), ast.parse(text)))
    return tuple(found)


def functions(modules: Iterable[Module]) -> Iterator[Function]:
    """Yield every function and method."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                yield node


def length(node: ast.stmt) -> int:
    """Return how many lines a statement has."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def code_lines(module: Module) -> int:
    """Return the lines that are neither blank, comment nor docstring."""
    quoted: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            quoted.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        1
        for number, line in enumerate(module.lines, 1)
        if line.strip() and not line.lstrip().startswith("#") and number not in quoted
    )


def importers(modules: Iterable[Module]) -> Mapping[str, set[str]]:
    """Return for each module the modules that import it."""
    known = {module.name for module in modules}
    found: dict[str, set[str]] = {name: set() for name in known}
    for module in modules:
        for node in ast.walk(module.tree):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in known else node.module for name in names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name in known and name != module.name:
                    found[name].add(module.name)
    return found


def one_caller(modules: Iterable[Module]) -> tuple[int, int]:
    """Return the number and the lines of private functions that are named once in their module."""
    count = lines = 0
    for module in modules:
        used: Counter[str] = Counter()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name):
                used[node.id] += 1
            elif isinstance(node, ast.Attribute):
                used[node.attr] += 1
        for node in functions([module]):
            if (
                node.name.startswith("_")
                and not node.name.startswith("__")
                and used[node.name] == 1
            ):
                count += 1
                lines += length(node)
    return count, lines


def classes(modules: Iterable[Module]) -> Mapping[str, list[str]]:
    """Return for each class name the modules that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module.name)
    return found


def protocols(modules: Iterable[Module]) -> int:
    """Return how many protocols there are."""
    return sum(
        any(ast.unparse(base).startswith("Protocol") for base in node.bases)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    )


def public_names(modules: Iterable[Module]) -> int:
    """Return how many functions, classes and constants of modules are public."""
    count = 0
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | Function):
                count += not node.name.startswith("_")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                count += sum(
                    isinstance(target, ast.Name) and not target.id.startswith("_")
                    for target in targets
                )
    return count


def docstrings(modules: Iterable[Module]) -> tuple[int, int]:
    """Return how many docstrings there are, and how many begin without a verb."""
    texts = [
        text
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | Function)
        and (text := ast.get_docstring(node))
    ]
    return len(texts), sum(NO_VERB.match(text) is not None for text in texts)


def reached(start: str, known: Mapping[str, set[str]]) -> tuple[int, int]:
    """Return how many modules `start` imports, and the longest of the shortest ways to one."""
    imports: dict[str, set[str]] = defaultdict(set)
    for name, users in known.items():
        for user in users:
            imports[user].add(name)
    seen, border, depth = {start}, {start}, 0
    while border:
        border = {name for user in border for name in imports[user]} - seen
        seen |= border
        depth += bool(border)
    return len(seen), depth


def measure() -> dict[str, object]:
    """Measure the package and its tests."""
    modules, tests = read(ROOT / "factory"), read(ROOT / "tests")
    sizes = sorted(length(node) for node in functions(modules))
    lines = sum(len(module.lines) for module in modules)
    known = importers(modules)
    helpers, helper_lines = one_caller(modules)
    documented, verbless = docstrings(modules)
    texts = ["\n".join(module.lines) for module in modules]
    literals = {
        name: sum(f'"{name}"' in text or f"/{name}" in text for text in texts) for name in LITERALS
    }
    comments = sum(line.lstrip().startswith("#") for module in modules for line in module.lines)
    wide = sum(len(line) > WIDTH for module in modules for line in module.lines)
    return {
        "modules": len(modules),
        "lines": lines,
        "lines of code": sum(map(code_lines, modules)),
        "lines of a function: median": statistics.median(sizes),
        "lines of a function: 95 %": sizes[int(len(sizes) * 0.95)],
        "lines of a function: longest": sizes[-1],
        "private helpers with one caller, % of functions": round(100 * helpers / len(sizes), 1),
        "private helpers with one caller, % of lines": round(100 * helper_lines / lines, 1),
        "modules with exactly one importer": sum(len(users) == 1 for users in known.values()),
        f"modules under {SMALL} lines": sum(len(module.lines) < SMALL for module in modules),
        "public names per 1,000 lines": round(1000 * public_names(modules) / lines, 1),
        "comment lines, %": round(100 * comments / lines, 2),
        f"lines over {WIDTH} columns": wide,
        "protocols": protocols(modules),
        "class names with two or more meanings": sum(
            len(where) > 1 for where in classes(modules).values()
        ),
        "docstrings": documented,
        "docstrings that begin without a verb": verbless,
        "modules reached from the pipeline": reached("factory.engine.pipeline", known)[0],
        "import depth from the pipeline": reached("factory.engine.pipeline", known)[1],
        "files that name a document of the evidence": literals,
        "lines of tests for a line of source": round(
            sum(len(module.lines) for module in tests) / lines, 2
        ),
    }


def seven() -> Iterator[str]:
    """Yield a line for each change: files before, files of the program now, and which. A folder
    counts as one file, since one in it changes.
    """
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for change, before in BEFORE.items():
        row = re.search(rf"^\| {change} \|(.*)$", page, re.MULTILINE)
        if row is None:
            raise ValueError(f"expected a row for {change!r} in ARCHITECTURE.md, found none")
        ours, checker = (re.findall(r"`(factory/[^`]+)`", cell) for cell in row[1].split("|")[:2])
        count = f"{before or 'no seam'} before, {len(ours)} now"
        more = f" and {len(checker)} of the checker" if checker else ""
        yield f"{change:<26} {count}{more}: {', '.join((*ours, *checker))}"


def main() -> int:
    """Print the figures; return 0."""
    if "--seven" in sys.argv[1:]:
        sys.stdout.writelines(f"{line}\n" for line in seven())
        return 0
    found = measure()
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    for name, value in found.items():
        sys.stdout.write(f"{name:<50} {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
