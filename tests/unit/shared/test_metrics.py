"""Labels stay few, whatever users choose; what is counted once a node is told as any other histogram."""

from __future__ import annotations

from prometheus_client import Histogram

from shared.metrics import FINE_BUCKETS, Capped, HotHistogram


def test_the_first_values_keep_their_names_and_all_later_ones_are_one():
    label = Capped(3)

    found = [label(name) for name in ("a", "b", "a", "c", "d", "e", "b", "d")]

    assert found == ["a", "b", "a", "c", "other", "other", "b", "other"]


def test_a_hot_histogram_tells_what_the_library_s_own_would():
    usual = Histogram("test_usual", "Some time", ["kind"], buckets=FINE_BUCKETS, registry=None)
    hot = HotHistogram("test_hot", "Some time", ["kind"], FINE_BUCKETS)

    for value in (0.0, 0.001, 0.0011, 0.3, 5.0, 77.0):
        usual.labels("one").observe(value)
        hot.labels("one").observe(value)

    def told(histogram: Histogram | HotHistogram) -> list[tuple[str, dict[str, str], float]]:
        samples = [sample for family in histogram.collect() for sample in family.samples]
        return [
            (sample.name.removeprefix("test_usual").removeprefix("test_hot"), sample.labels, sample.value)
            for sample in samples
            if not sample.name.endswith("_created")
        ]

    assert sorted(told(hot), key=str) == sorted(told(usual), key=str)
