"""Order packs by what they depend on.

>>> canonical_order({"TASK-0002": ("TASK-0003",), "TASK-0001": (), "TASK-0003": ()})
('TASK-0001', 'TASK-0003', 'TASK-0002')

Pure. Does not know what a pack is.
"""

from __future__ import annotations

from collections.abc import Mapping


def canonical_order(depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Order packs so that each comes after its dependencies, otherwise by id.

    Unknown dependencies are ignored here (another module reports them); members of a circle, and
    what depends on them, come last in id order.
    """
    waiting = {pack: {need for need in needs if need in depends} for pack, needs in depends.items()}
    order: list[str] = []
    while waiting:
        ready = sorted(pack for pack, needs in waiting.items() if not needs)
        if not ready:
            order.extend(sorted(waiting))
            break
        for pack in ready:
            del waiting[pack]
        order.extend(ready)
        for needs in waiting.values():
            needs.difference_update(ready)
    return tuple(order)


def all_needs(depends: Mapping[str, tuple[str, ...]]) -> Mapping[str, frozenset[str]]:
    """Return everything each pack depends on, transitively, restricted to known packs; circles
    end.
    """
    found: dict[str, frozenset[str]] = {}
    for pack in depends:
        seen: set[str] = set()
        rest = list(depends[pack])
        while rest:
            need = rest.pop()
            if need in depends and need not in seen:
                seen.add(need)
                rest.extend(depends[need])
        found[pack] = frozenset(seen)
    return found
