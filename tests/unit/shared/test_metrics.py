"""Labels stay few, whatever users choose."""

from __future__ import annotations

from shared.metrics import Capped


def test_the_first_values_keep_their_names_and_all_later_ones_are_one():
    label = Capped(3)

    found = [label(name) for name in ("a", "b", "a", "c", "d", "e", "b", "d")]

    assert found == ["a", "b", "a", "c", "other", "other", "b", "other"]
