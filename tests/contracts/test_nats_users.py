"""The users of NATS that are committed are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.nats_conf import users_conf
from services.cli.nats_users import users

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats" / "users.conf"


def test_what_is_committed_is_what_the_code_says():
    is_same = SHIPPED.read_text(encoding="utf-8") == users_conf()
    assert is_same, "write it anew with: pipewright nats-users > deploy/nats/users.conf"


def test_no_password_is_in_the_file():
    passwords = [
        line.split("password: ")[1].split(",")[0] for line in SHIPPED.read_text().splitlines() if "password:" in line
    ]
    assert len(passwords) == len(set(passwords)) == 10
    assert all(word.startswith("$NATS_PASSWORD_") for word in passwords)


def test_a_process_of_several_types_is_one_user_with_the_rights_of_each():
    [user] = [user for user in users({"small": ("text", "shout")}) if user.name == "executor-small"]

    assert user.account == "EXECUTOR_SMALL"
    assert user.password_variable == "NATS_PASSWORD_EXECUTOR_SMALL"
    results = {subject for subject in user.publish if "result" in subject}
    assert results == {"pipewright.node.result.text", "pipewright.node.result.shout"}


def test_what_cannot_be_a_type_gives_no_rights():
    with pytest.raises(ValueError, match="cannot be part of a subject"):
        users({"all": ("*",)})
