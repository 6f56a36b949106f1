"""From a view and a layer to a tree: the semantics of overlay marks, and their equality with a full
checkout.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.git.derive import apply_layer, new_paths
from factory.model.scanned import Oddity, ScannedFile, ScannedLayer
from factory.model.tree import MODE_FILE, MODE_SUBMODULE, Leaf, Tree, tree_from_leaves
from tests.sample import examples

ONE, TWO = Leaf(MODE_FILE, "1" * 40), Leaf(MODE_FILE, "2" * 40)
MODULE = Leaf(MODE_SUBMODULE, "9" * 40)
NONE: frozenset[str] = frozenset()


def tree(**leaves: Leaf) -> Tree:
    return tree_from_leaves(
        ((path.replace("__", "/"), leaf) for path, leaf in leaves.items()), "sha1"
    )


def layer(
    *files: tuple[str, Leaf],
    folders: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
    opaque: tuple[str, ...] = (),
) -> ScannedLayer:
    return ScannedLayer(
        tuple(ScannedFile(path, leaf, 0) for path, leaf in files), folders, removed, opaque
    )


BASE = tree(a__x=ONE, a__y=ONE, b=ONE)


def leaves_of(base: Tree, found: ScannedLayer, ignored: frozenset[str] = NONE) -> dict[str, Leaf]:
    return dict(apply_layer(base, found, ignored).tree.leaves())


def test_an_empty_layer_is_no_change() -> None:
    assert apply_layer(BASE, layer(), NONE).tree == BASE


def test_a_file_replaces_and_adds() -> None:
    assert leaves_of(BASE, layer(("b", TWO), ("c/d", TWO), folders=("c",))) == {
        "a/x": ONE, "a/y": ONE, "b": TWO, "c/d": TWO,
    }  # fmt: skip


def test_a_whiteout_removes_a_file_and_a_whole_folder() -> None:
    assert leaves_of(BASE, layer(folders=("a",), removed=("a/x",))) == {"a/y": ONE, "b": ONE}
    assert leaves_of(BASE, layer(removed=("a", "nothing"))) == {"b": ONE}


def test_an_opaque_folder_hides_what_was_there() -> None:
    assert leaves_of(BASE, layer(("a/z", TWO), folders=("a",), opaque=("a",))) == {
        "a/z": TWO,
        "b": ONE,
    }
    assert leaves_of(BASE, layer(folders=("a",), opaque=("a",))) == {"b": ONE}


def test_a_folder_over_a_file_and_a_file_over_a_folder() -> None:
    assert leaves_of(BASE, layer(("b/c", TWO), folders=("b",))) == {
        "a/x": ONE,
        "a/y": ONE,
        "b/c": TWO,
    }
    assert leaves_of(BASE, layer(folders=("b",))) == {"a/x": ONE, "a/y": ONE}
    assert leaves_of(BASE, layer(("a", TWO))) == {"a": TWO, "b": ONE}


def test_a_worktree_holds_all_that_is_left() -> None:
    assert leaves_of(BASE, layer(("b", ONE), folders=("a",), opaque=("",))) == {"b": ONE}


def test_ignored_files_are_dropped_and_named_unless_the_base_tracks_them() -> None:
    found = layer(("b", TWO), ("o.o", TWO), ("a/p.o", TWO), folders=("a",))
    assert new_paths(BASE, found) == ("o.o", "a/p.o")
    derived = apply_layer(BASE, found, frozenset({"b", "o.o", "a/p.o"}))
    assert derived.dropped == ("a/p.o", "o.o")
    assert dict(derived.tree.leaves()) == {"a/x": ONE, "a/y": ONE, "b": TWO}


def test_an_ignored_file_over_a_folder_removes_the_folder_all_the_same() -> None:
    found = layer(("a", TWO))
    assert new_paths(BASE, found) == ("a",)
    assert leaves_of(BASE, found, frozenset({"a"})) == {"b": ONE}
    assert leaves_of(BASE, layer(("a", TWO), ("b", ONE), opaque=("",)), frozenset({"a"})) == {
        "b": ONE
    }


def test_a_submodule_stays_while_its_empty_folder_stands() -> None:
    base = tree(m=MODULE, s__m=MODULE, b=ONE)
    kept = {"m": MODULE, "s/m": MODULE, "b": ONE}
    assert leaves_of(base, layer()) == kept
    assert leaves_of(base, layer(folders=("m", "s", "s/m"), opaque=("m", "s"))) == kept
    assert leaves_of(base, layer(("b", ONE), folders=("m", "s", "s/m"), opaque=("",))) == kept
    assert leaves_of(base, layer(("m/o", TWO), folders=("m",)), frozenset({"m/o"})) == kept


def test_a_submodule_is_changed_by_a_file_in_it_and_by_its_removal() -> None:
    base = tree(m=MODULE, b=ONE)
    assert leaves_of(base, layer(("m/f", TWO), folders=("m",))) == {"m/f": TWO, "b": ONE}
    assert leaves_of(base, layer(removed=("m",))) == {"b": ONE}
    assert leaves_of(base, layer(("b", ONE), opaque=("",))) == {"b": ONE}
    assert leaves_of(base, layer(("m", TWO))) == {"m": TWO, "b": ONE}


# A model of a file system over a base: what an overlay's upper layer holds after a sequence of
# operations, and what a full checkout holds. None is a folder.

NAMES = ["a", "b", "c"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
operations = st.lists(
    st.tuples(st.sampled_from(["write", "remove", "folder"]), paths, st.sampled_from([ONE, TWO]))
)
bases = st.dictionaries(paths, st.sampled_from([ONE, TWO, MODULE]), max_size=6)


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


class Overlay:
    """Upper layer over a base, kept the way the kernel keeps it."""

    def __init__(self, base: Tree) -> None:
        self.base = base
        self.shown: dict[str, Leaf | None] = {}
        for path, leaf in base.leaves():
            self.shown.update(dict.fromkeys(parents(path)))
            self.shown[path] = None if leaf.mode == MODE_SUBMODULE else leaf
        self.upper: dict[str, Leaf | None] = {}
        self.removed: set[str] = set()
        self.opaque: set[str] = set()

    def below(self, path: str) -> bool:
        """Whether the base shows through at `path`, as nothing of the upper layer hides it."""
        hidden = any(parent in self.opaque or parent in self.removed for parent in parents(path))
        blocked = any(isinstance(self.upper.get(parent), Leaf) for parent in parents(path))
        return not hidden and not blocked and self.base.get(path) is not None

    def make_way(self, path: str) -> bool:
        if any(isinstance(self.shown.get(parent), Leaf) for parent in parents(path)):
            return False
        for parent in parents(path):
            if parent not in self.shown:
                self.folder(parent)
            self.upper.setdefault(parent, None)
        return True

    def folder(self, path: str) -> None:
        if path in self.shown or not self.make_way(path):
            return
        if path in self.removed or self.below(path):
            self.opaque.add(path)  # the kernel marks a folder that replaces something
        self.removed.discard(path)
        self.upper[path] = self.shown[path] = None

    def write(self, path: str, leaf: Leaf) -> None:
        if (path in self.shown and self.shown[path] is None) or not self.make_way(path):
            return
        self.removed.discard(path)
        self.upper[path] = self.shown[path] = leaf

    def remove(self, path: str) -> None:
        if path not in self.shown or not self.make_way(path):
            return
        for one in [one for one in self.shown if one == path or one.startswith(f"{path}/")]:
            del self.shown[one]
        for one in [one for one in self.upper if one == path or one.startswith(f"{path}/")]:
            del self.upper[one]
        self.removed = {one for one in self.removed if not one.startswith(f"{path}/")}
        self.opaque = {one for one in self.opaque if one != path and not one.startswith(f"{path}/")}
        if self.below(path):
            self.removed.add(path)

    def scanned(self) -> ScannedLayer:
        return as_layer(self.upper, tuple(sorted(self.removed)), tuple(sorted(self.opaque)))


def as_layer(
    entries: dict[str, Leaf | None], removed: tuple[str, ...] = (), opaque: tuple[str, ...] = ()
) -> ScannedLayer:
    files = tuple(
        ScannedFile(path, leaf, 0) for path, leaf in sorted(entries.items()) if leaf is not None
    )
    return ScannedLayer(
        files,
        tuple(sorted(path for path, leaf in entries.items() if leaf is None)),
        removed,
        opaque,
    )


@given(leaves=bases, done=operations, ignored=st.frozensets(paths))
@examples(100)
def test_overlay_and_worktree_give_the_same_tree(
    leaves: dict[str, Leaf], done: list[tuple[str, str, Leaf]], ignored: frozenset[str]
) -> None:
    base = tree_from_leaves(
        (
            (path, leaf)
            for path, leaf in leaves.items()
            if not any(parent in leaves for parent in parents(path))
        ),
        "sha1",
    )
    overlay = Overlay(base)
    for what, path, leaf in done:
        match what:
            case "write":
                overlay.write(path, leaf)
            case "remove":
                overlay.remove(path)
            case _:
                overlay.folder(path)
    full = as_layer(overlay.shown, opaque=("",))
    thin = overlay.scanned()
    assert apply_layer(base, thin, NONE).tree == apply_layer(base, full, NONE).tree
    assert apply_layer(base, thin, ignored) == apply_layer(base, full, ignored)


def test_a_file_too_large_to_be_read_is_dropped_where_it_is_ignored() -> None:
    odd = tuple(Oddity(path, "FILE_TOO_LARGE", "x") for path in ("b", "new"))
    found = ScannedLayer((), oddities=(Oddity("c", "FILE_SPECIAL", "x"), *odd))
    assert new_paths(BASE, found) == ("new",)  # no rule ignores what is tracked
    ignored = frozenset({"new"})
    assert apply_layer(BASE, found, ignored).dropped == ("new",)
    assert leaves_of(BASE, found, ignored) == dict(BASE.leaves())
    assert [odd.path for odd in found.without(ignored)] == ["c", "b"]
