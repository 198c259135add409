"""What is kept in memory stays within its bounds."""

from __future__ import annotations

from services.coordinator.recent import Recent


def kept(recent: Recent[str, int], keys: str) -> str:
    return "".join(key for key in keys if recent.get(key) is not None)


def test_what_was_not_used_for_longest_goes_first():
    recent: Recent[str, int] = Recent(3)
    for value, key in enumerate("abc"):
        recent.put(key, value)
    recent.get("a")

    recent.put("d", 3)

    assert kept(recent, "abcd") == "acd"


def test_sizes_are_bounded_together():
    recent: Recent[str, int] = Recent(100, 10)
    for key, size in (("a", 4), ("b", 4), ("c", 1)):
        recent.put(key, 1, size)
    recent.put("a", 2, 1)
    assert kept(recent, "abc") == "abc"

    recent.drop("c")
    recent.drop("unknown")
    recent.put("d", 1, 5)
    assert kept(recent, "abcd") == "abd"

    recent.put("e", 1, 6)
    assert kept(recent, "abde") == "e"


def test_nothing_is_left_of_what_is_cleared():
    recent: Recent[str, int] = Recent(2, 10)
    recent.put("a", 1, 10)

    recent.clear()

    assert kept(recent, "a") == ""
    recent.put("b", 1, 10)
    assert kept(recent, "b") == "b"
