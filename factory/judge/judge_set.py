"""List the files that judge a result besides its acceptance commands, and say which they are.

Tests, and what runners, linters, interpreters, package managers and make load by themselves. One
table: policy and contracts add patterns to it, and none takes away (docs/factory/JUDGE.md).

    >>> judge_set = JudgePatterns(own=("ci/expected/",)).compiled
    >>> [judge_set.role(path, new=False) for path in ("tests/test_a.py", "ruff.toml", "src/a.py")]
    [<Role.TEST: 'test'>, <Role.CONFIGURATION: 'configuration'>, None]
    >>> judge_set.role("ci/expected/a.json", new=False)
    <Role.CONFIGURATION: 'configuration'>
    >>> judge_set.role("random.py", new=True), judge_set.role("random.py", new=False)
    (<Role.CONFIGURATION: 'configuration'>, None)

Pure: names only. Does not know what of a file that is half code belongs to the judge
(`judge.half_code`), nor which packs' folders are protected (`judge.pack_files`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from factory.judge.half_code import is_half_code
from factory.judge.scope import Patterns, compile_patterns


class Role(enum.Enum):
    """Say what a file of the judge set is. Checks under `format` and `lint` judge tests, too, so
    for these only configuration belongs to the judge.
    """

    TEST = "test"
    CONFIGURATION = "configuration"


# Names of tests, by who finds them.
_TESTS_BY: Mapping[str, tuple[str, ...]] = {
    "folders of tests": (
        "**/tests/",
        "**/test/",
        "**/__tests__/",
        "**/__snapshots__/",
        "**/__mocks__/",
        "**/testdata/",
        "**/spec/**/*.rb",
    ),
    "Python": ("**/test_*.py", "**/*_test.py", "**/tests.py", "**/conftest.py"),
    "JavaScript and TypeScript": ("**/*.test.*", "**/*.spec.*", "**/test.js", "**/test.mjs"),
    "Go": ("**/*_test.go",),
    "Rust": ("**/*_test.rs", "**/tests.rs"),
    "Ruby": ("**/*_spec.rb", "**/*_test.rb", "**/test_*.rb"),
    "Java, Kotlin, Scala, C#": (
        "**/*Test.java",
        "**/*Tests.java",
        "**/*IT.java",
        "**/*Test.kt",
        "**/*Spec.scala",
        "**/*Tests.cs",
    ),
    "PHP, Elixir, Perl, shell": ("**/*Test.php", "**/*_test.exs", "**/*.t", "**/*.bats"),
    "C and C++": ("**/*_test.c", "**/*_test.cc", "**/*_test.cpp", "**/test_*.c", "**/test_*.cpp"),
}

# Where dependencies are looked for: judge where a pack makes one, else an output of environments.
DEPENDENCY_FOLDERS = ("**/.venv/", "**/node_modules/")
# What is loaded without being named in a command, by who loads it.
_CONFIGURATION_BY: Mapping[str, tuple[str, ...]] = {
    "interpreters": (
        "**/sitecustomize.py",
        "**/usercustomize.py",
        "**/sitecustomize/",
        "**/usercustomize/",
        "**/*.dist-info/",
        "**/*.egg-info/",
        "**/*.pth",
        "**/*.pyc",
        "**/pyvenv.cfg",
        *DEPENDENCY_FOLDERS,
        "**/.pdbrc",
        "**/.python-version",
        "**/.node-version",
        "**/.nvmrc",
        "**/.ruby-version",
        "**/.tool-versions",
    ),
    "runners and linters of Python": (
        "**/pytest.ini",
        "**/.pytest.ini",
        "**/pytest.toml",
        "**/.pytest.toml",
        "**/tox.ini",
        "**/tox.toml",
        "**/setup.cfg",
        "**/pyproject.toml",
        "**/.coveragerc",
        "**/ruff.toml",
        "**/.ruff.toml",
        "**/.flake8",
        "**/mypy.ini",
        "**/.mypy.ini",
        "**/pylintrc",
        "**/.pylintrc",
        "**/pylintrc.toml",
        "**/pyrightconfig.json",
        "**/.isort.cfg",
        "**/.style.yapf",
        "**/.bandit",
        "**/unittest.cfg",
        "**/nose2.cfg",
        "**/noxfile.py",
    ),
    "runners and linters of JavaScript": (
        "**/package.json",
        "**/.eslintrc*",
        "**/.eslintignore",
        "**/eslint.config.*",
        "**/biome.json",
        "**/biome.jsonc",
        "**/.prettierrc*",
        "**/.prettierignore",
        "**/prettier.config.*",
        "**/jest.config.*",
        "**/vitest.config.*",
        "**/vitest.workspace.*",
        "**/vite.config.*",
        "**/.mocharc*",
        "**/karma.conf.*",
        "**/ava.config.*",
        "**/playwright.config.*",
        "**/cypress.config.*",
        "**/babel.config.*",
        "**/.babelrc*",
        "**/.swcrc",
        "**/.nycrc*",
        "**/nyc.config.*",
        "**/.taprc",
        "**/tsconfig*.json",
        "**/deno.json",
        "**/deno.jsonc",
    ),
    "runners and linters of other languages": (
        "**/go.work",
        "**/.golangci.*",
        "**/.cargo/",
        "**/rustfmt.toml",
        "**/.rustfmt.toml",
        "**/clippy.toml",
        "**/.clippy.toml",
        "**/rust-toolchain",
        "**/rust-toolchain.toml",
        "**/Cargo.toml",
        "**/.rspec",
        "**/.rubocop.yml",
        "**/phpunit.xml*",
        "**/phpstan.neon*",
        "**/.clang-format",
        "**/.clang-tidy",
        "**/.shellcheckrc",
        "**/.yamllint*",
        "**/.markdownlint*",
        "**/.editorconfig",
        "**/.gitignore",
        "**/.ignore",
        "**/.codespellrc",
    ),
    "package managers": (
        "**/.npmrc",
        "**/.yarnrc",
        "**/.yarnrc.yml",
        "**/.pnpmfile.cjs",
        "**/pnpm-workspace.yaml",
        "**/bunfig.toml",
        "**/.pypirc",
        "**/pip.conf",
        "**/pip.ini",
        "**/uv.toml",
        "**/poetry.toml",
        "**/setup.py",
        "**/.mvn/",
        "**/.bundle/",
    ),
    "make and its kin": (
        "**/Makefile",
        "**/makefile",
        "**/GNUmakefile",
        "**/*.mk",
        "**/justfile",
        "**/Justfile",
        "**/.justfile",
        "**/Taskfile.yml",
        "**/Taskfile.yaml",
        "**/Rakefile",
        "**/gradle.properties",
        "**/.bazelrc",
    ),
    "modules by the name of a runner": tuple(
        f"{below}{name}{end}"
        for below in ("", "src/")
        for name in (
            *("pytest", "_pytest", "pluggy", "iniconfig", "coverage", "xdist", "execnet"),
            *("unittest", "doctest", "tox", "nox", "nose2", "ruff", "black", "isort", "flake8"),
            *("pycodestyle", "pyflakes", "mypy", "mypyc", "pylint", "astroid", "pyright", "bandit"),
        )
        for end in (".py", "/")
    ),
}

TESTS = tuple(pattern for patterns in _TESTS_BY.values() for pattern in patterns)
PATTERNS = tuple(pattern for patterns in _CONFIGURATION_BY.values() for pattern in patterns)
# Top modules of the standard libraries of Python 3.11 to 3.14, and of what runners import, that a
# new file at the root or in src/ would come before. A file of that name that was there already is
# the project's own.
SHADOWED = tuple(
    "abc argparse array ast asyncio asyncore atexit base64 bdb binascii bisect builtins bz2"
    " cProfile calendar cmath cmd code codecs codeop collections colorsys compileall compression"
    " concurrent configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses"
    " datetime dbm decimal difflib dis email encodings enum errno faulthandler fcntl filecmp"
    " fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob"
    " graphlib grp gzip hashlib heapq hmac html http imaplib importlib inspect io ipaddress"
    " itertools json keyword linecache locale logging lzma mailbox marshal math mimetypes mmap"
    " modulefinder multiprocessing netrc ntpath numbers opcode operator optparse os pathlib pdb"
    " pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats"
    " pty pwd py_compile pyclbr pydoc pyexpat queue quopri random re readline reprlib resource"
    " rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib"
    " socket socketserver sqlite3 ssl stat statistics string stringprep struct subprocess symtable"
    " sys sysconfig syslog tabnanny tarfile tempfile termios textwrap threading time timeit token"
    " tokenize tomllib trace traceback tracemalloc tty types typing unicodedata urllib uuid venv"
    " warnings wave weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport zlib"
    " zoneinfo"
    # what runners import that may be a folder of a project, too
    " packaging pygments attr attrs exceptiongroup tomli py typing_extensions".split()
)
_MODULE_ENDS = ("py", "pyc", "so", "pyd")


@dataclass(frozen=True, slots=True)
class JudgeSet:
    """Say which paths belong to the judge of one pack."""

    tests: Patterns
    configuration: Patterns
    shadowed: frozenset[str]
    whole: Patterns

    def is_half(self, path: str) -> bool:
        """Return whether only a part of the file at `path` belongs to the judge: by its name, and
        no pattern matches it that is more than the name of such a file.
        """
        return is_half_code(path) and not self.whole.matches(path)

    def role(self, path: str, *, new: bool) -> Role | None:
        """Return what the file at `path` is to the judge; None for any other. `new`: it was not
        there before the work.
        """
        if self.configuration.matches(path) or (new and self._shadows(path)):
            return Role.CONFIGURATION
        return Role.TEST if self.tests.matches(path) else None

    def is_shadow(self, folder: str) -> bool:
        """Return whether a new file or folder at this path would come before a module of a runner
        or of the standard library.
        """
        return self._shadows(folder) or self._shadows(f"{folder}/__init__.py")

    def _shadows(self, path: str) -> bool:
        first, *below = path.removeprefix("src/").split("/")
        stem, _, end = first.partition(".")
        if below:
            return first in self.shadowed and below[0].partition(".")[0] == "__init__"
        return stem in self.shadowed and end.rpartition(".")[2] in _MODULE_ENDS


@dataclass(frozen=True, slots=True)
class JudgePatterns:
    """List what a judge set is made of: a policy's three lists, and a contract's `own` patterns.

    Compiled at the first question: most packs change no file that could belong to it.
    """

    patterns: tuple[str, ...] = PATTERNS
    tests: tuple[str, ...] = TESTS
    shadowed: tuple[str, ...] = SHADOWED
    own: tuple[str, ...] = ()

    @property
    def compiled(self) -> JudgeSet:
        """Return the judge set that the lists describe."""
        return _compiled(self)


BUILT_IN = JudgePatterns()
"""The judge set that no policy and no contract adds to."""


@lru_cache(maxsize=64)
def _compiled(lists: JudgePatterns) -> JudgeSet:
    return JudgeSet(
        compile_patterns(lists.tests),
        compile_patterns((*lists.patterns, *lists.own)),
        frozenset(lists.shadowed),
        compile_patterns((*lists.tests, *filter(_is_more, lists.patterns), *lists.own)),
    )


def _is_more(pattern: str) -> bool:
    """Return whether a pattern is more than the name of a half-code file in any folder."""
    return not (is_half_code(pattern) and pattern.startswith("**/") and pattern.count("/") == 1)
