"""Who is answered in JSON:API, and who brings it: the rules of the specification, as a table."""

from __future__ import annotations

import pytest

from services.gateway.jsonapi.negotiation import asks_for_document, brings_document
from services.gateway.jsonapi.refusals import NotAcceptableError, UnsupportedMediaTypeError

OURS = "application/vnd.api+json"


@pytest.mark.parametrize(
    ("accept", "is_wanted"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/*", False),
        ("text/event-stream", False),
        (OURS, True),
        ("Application/VND.API+JSON", True),
        (f"{OURS}, */*", True),
        (f"{OURS}, application/json", True),
        (f"application/json, {OURS}", True),
        (f"{OURS};q=0.5, application/json", False),
        (f"{OURS};q=0.5, */*", False),
        (f"{OURS};q=0.5, application/json;q=0.4", True),
        (f"{OURS};q=0.5, application/json;q=0.4, */*", True),
        (f"{OURS};q=0", False),
        (f"{OURS};q=nonsense", False),
        (f'{OURS}; profile="https://a.example/one,two;three"', True),
        (f"{OURS};profile=x;q=0.9", True),
        (f"{OURS};charset=utf-8, {OURS}", True),
        (f'{OURS};ext="https://a.example/atomic", {OURS};q=0.1', True),
        (f"application/json, {OURS};charset=utf-8, {OURS};q=0.1", False),
        (",,", False),
    ],
)
def test_only_who_names_it_and_likes_nothing_flat_better_is_answered_so(accept: str | None, is_wanted: bool):
    assert asks_for_document(accept) is is_wanted


@pytest.mark.parametrize(
    "accept",
    [
        f"{OURS};charset=utf-8",
        f"{OURS}; version=1",
        f'{OURS};ext="https://a.example/atomic"',
        f"{OURS};a=1, {OURS};b=2",
        f"{OURS};charset=utf-8, application/json",  # the specification does not care what else is named
        f"{OURS};q=0.5;charset=utf-8",
    ],
)
def test_who_names_it_with_other_parameters_only_is_refused(accept: str):
    with pytest.raises(NotAcceptableError, match="at least once without any but 'profile'") as caught:
        asks_for_document(accept)
    assert caught.value.problem.status == 406


@pytest.mark.parametrize(
    ("content_type", "is_document"),
    [
        (None, False),
        ("", False),
        ("application/json", False),
        ("application/json; charset=utf-8", False),
        (OURS, True),
        (f" {OURS} ", True),
        (f'{OURS};profile="https://a.example/times"', True),
    ],
)
def test_a_body_is_a_document_when_its_type_says_so(content_type: str | None, is_document: bool):
    assert brings_document(content_type) is is_document


@pytest.mark.parametrize("parameter", ["charset=utf-8", 'ext="https://a.example/atomic"', "Version=1"])
def test_a_document_with_another_parameter_is_refused_with_its_name(parameter: str):
    with pytest.raises(UnsupportedMediaTypeError, match=parameter.partition("=")[0].lower()) as caught:
        brings_document(f"{OURS}; {parameter}")
    assert caught.value.problem.status == 415
