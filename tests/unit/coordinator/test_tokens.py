"""Tokens: only who was given an attempt can report it."""

from __future__ import annotations

import pytest

from services.coordinator.tokens import Tokens
from tests.unit.coordinator.building import RUN_ID

TOKENS = Tokens("secret")
TOKEN = TOKENS.make(RUN_ID, "a", 1)


def test_a_token_is_good_for_its_attempt():
    assert TOKENS.is_valid(TOKEN, RUN_ID, "a", 1)


@pytest.mark.parametrize(("key", "attempt"), [("a", 2), ("b", 1)])
def test_a_token_is_good_for_no_other_attempt(key: str, attempt: int):
    assert not TOKENS.is_valid(TOKEN, RUN_ID, key, attempt)


def test_another_secret_makes_other_tokens():
    assert not Tokens("other").is_valid(TOKEN, RUN_ID, "a", 1)


@pytest.mark.parametrize("token", ["", "ü", TOKEN[:-1], TOKEN.upper()])
def test_what_is_no_token_is_refused(token: str):
    assert not TOKENS.is_valid(token, RUN_ID, "a", 1)
