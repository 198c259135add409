"""What becomes of a delivery after an attempt, and how it is signed."""

from __future__ import annotations

import base64
from random import Random

import pytest

from examples.verify_webhook import is_genuine
from services.coordinator.delivering import DELAYS_S, AttemptEnd, after, attempt_end
from services.coordinator.signatures import new_secret, shown_secret, sign
from services.coordinator.state import Outcome
from shared.contracts.states import AttemptOutcome, DeliveryStatus

REFUSED = AttemptEnd(False, 500, "It answered 500.")


def outcome(how: AttemptOutcome, **more: object) -> Outcome:
    found = Outcome(run_id="d", node_key="webhook", attempt=1, outcome=how)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_delivery_is_tried_over_most_of_a_day_and_then_given_up():
    waits = [after(REFUSED, failures, Random(1)).delay_s for failures in range(len(DELAYS_S) + 1)]
    assert waits[-1] is None
    assert after(REFUSED, len(DELAYS_S), Random(1)).status is DeliveryStatus.FAILED
    total_s = sum(wait for wait in waits if wait is not None)
    assert 18 * 3600 < total_s < 24 * 3600


@pytest.mark.parametrize("failures", range(len(DELAYS_S)))
def test_waits_grow_and_differ(failures: int):
    waits = {after(REFUSED, failures, Random(seed)).delay_s for seed in range(20)}
    assert len(waits) == 20
    assert all(DELAYS_S[failures] <= wait <= DELAYS_S[failures] * 1.2 for wait in waits if wait is not None)


def test_a_longer_wait_that_the_other_side_asks_for_is_kept():
    assert after(AttemptEnd(False, 429, "busy", retry_after_s=900), 0, Random(1)).delay_s == 900


def test_gone_is_the_end_at_the_first_attempt():
    assert after(AttemptEnd(False, 410, "gone", is_gone=True), 0, Random(1)).status is DeliveryStatus.FAILED


def test_what_a_worker_says_is_read_with_care():
    good = attempt_end(outcome(AttemptOutcome.COMPLETED, metadata={"http_status": 204}))
    odd = attempt_end(outcome(AttemptOutcome.FAILED, metadata={"http_status": "x"}, error={"message": "a\x00b" * 400}))
    assert (good.is_delivered, good.http_status) == (True, 204)
    assert (odd.is_delivered, odd.http_status) == (False, None)
    assert odd.error is not None
    assert len(odd.error) == 500
    assert "\x00" not in odd.error


# The vector of the libraries of Standard Webhooks.
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'


def test_the_signature_is_that_of_standard_webhooks():
    assert sign(SECRET, ID, TIME, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("change", "now", "good"),
    [
        ({}, TIME, True),
        ({"webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, TIME, True),
        ({}, TIME + 301, False),
        ({}, TIME - 301, False),
        ({"webhook-id": "msg_other"}, TIME, False),
        ({"webhook-timestamp": str(TIME + 1)}, TIME, False),
        ({"webhook-timestamp": ""}, TIME, False),
        ({"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, TIME, False),
        ({"webhook-signature": ""}, TIME, False),
    ],
)
def test_the_example_for_receivers_tells_good_from_bad(change: dict[str, str], now: float, good: bool):
    headers = {
        "webhook-id": ID,
        "webhook-timestamp": str(TIME),
        "webhook-signature": sign(SECRET, ID, TIME, BODY),
    } | change
    assert is_genuine(shown_secret(SECRET), headers, BODY.encode(), now) is good


def test_secrets_are_long_and_differ():
    assert len({new_secret() for _ in range(10)}) == 10
    assert all(24 <= len(new_secret()) <= 64 for _ in range(10))
