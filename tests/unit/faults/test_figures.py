"""The figures of a report of faults: what counts as standing still, and what a fault may explain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from services.coordinator.settings import CoordinatorSettings
from tests.faults.extra import Done, Extra, explain
from tests.faults.standstill import calm
from tests.faults.trial import MOST_STANDSTILL_S

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_calm_is_all_the_time_between_faults_together() -> None:
    """A run that is stuck for 100 s under a fault every 4 s stands still for 75 s, not for 3 s."""
    faults = [(at(second), at(second + 1)) for second in range(0, 100, 4)]

    assert calm(at(0), at(100), faults) == 75


def test_faults_that_overlap_are_taken_off_once() -> None:
    assert calm(at(0), at(10), [(at(2), at(6)), (at(3), at(4)), (at(5), at(8))]) == 4
    assert calm(at(0), at(10), [(at(-5), at(1)), (at(9), at(20))]) == 8
    assert calm(at(3), at(4), [(at(0), at(10))]) == 0


def test_a_fault_explains_no_more_than_was_in_flight_in_what_it_hit() -> None:
    done = [Done("worker killed", at(5), at(5), most_extra=2)]
    extras = [Extra(f"node {number}", at(4), at(20)) for number in range(3)]

    by_fault, unexplained = explain(extras, done)

    assert by_fault == {"worker killed": 2}
    assert unexplained == [extras[2]]


def test_only_what_went_on_between_two_executions_explains_the_second() -> None:
    done = [
        Done("before", at(0), at(1), most_extra=9),
        Done("meanwhile, harmless", at(5), at(6)),
        Done("after", at(30), at(31), most_extra=9),
    ]

    by_fault, unexplained = explain([extra := Extra("node", at(4), at(20))], done)

    assert not by_fault
    assert unexplained == [extra]


def test_what_waited_in_a_frozen_process_is_explained_by_that() -> None:
    done = [Done("worker frozen", at(1), at(15), most_extra=1)]

    assert explain([Extra("node", at(15.1), at(15.2))], done)[0] == {"worker frozen": 1}


def test_the_latest_of_several_faults_explains_an_execution() -> None:
    done = [Done("first", at(5), at(6), most_extra=1), Done("second", at(9), at(10), most_extra=1)]

    assert explain([Extra("node", at(4), at(20))], done)[0] == {"second": 1}
    assert explain([Extra("node", at(4), at(20))] * 2, done)[0] == {"first": 1, "second": 1}


def test_work_whose_worker_and_message_are_gone_goes_on_within_the_promised_time() -> None:
    """Then nothing but its lease tells of it; a sweep finds it over, and a retry may wait a second."""
    settings = CoordinatorSettings(secret=SecretStr("x" * 32))

    assert settings.lease_s + 2 * settings.sweep_s + 1 < MOST_STANDSTILL_S
