"""Every type of problem that the gateway answers, with an example of its words; a test finds one that is missing."""

from __future__ import annotations

from services.gateway.access import ForbiddenError
from services.gateway.jsonapi.refusals import (
    BadDocumentError,
    BadQueryError,
    NotAcceptableError,
    OtherResourceError,
    OwnIdError,
    UnsupportedMediaTypeError,
)
from services.gateway.keys import UnauthorizedError
from services.gateway.rate_limit import RateLimitedError
from shared.contracts.problems import FieldProblem, Problem
from shared.errors import (
    ChangedMeanwhileError,
    ConflictError,
    InvalidError,
    NotFoundError,
    ServiceError,
    TooLargeError,
    UnavailableError,
)

_ID = "01890a5d-ac96-774b-8000-000000000009"


def _at(pointer: str, detail: str) -> list[FieldProblem]:
    return [FieldProblem(pointer=pointer, detail=detail)]


_ERRORS: tuple[ServiceError, ...] = (
    UnauthorizedError("missing_key", "This needs an API key. Send the header 'Authorization: Bearer KEY'."),
    UnauthorizedError("wrong_key", "This API key is not known, has expired or was revoked."),
    ForbiddenError(
        "missing_scope", "This needs the scope 'pipelines:write'; key 'nightly' has: runs:read. Use another key."
    ),
    RateLimitedError(
        "too_many_requests",
        "Key 'nightly' may ask 10 times a second. Wait as long as Retry-After says.",
        retry_after_s=1.0,
    ),
    # The request as a whole
    InvalidError(
        "invalid_request",
        "/query/limit: Input should be less than or equal to 200. Correct it and send it again.",
        _at("/query/limit", "Input should be less than or equal to 200"),
    ),
    InvalidError("invalid_json", "The body is not JSON: unexpected end of data. Check its commas and quotes."),
    InvalidError(
        "unstorable_body",
        "The body holds the character U+0000, which cannot be stored. Take it out.",
        _at("/input/name", "holds the character U+0000, which cannot be stored. Take it out."),
    ),
    InvalidError(
        "invalid_body", "/reason: Field required. Correct it and send it again.", _at("/reason", "Field required")
    ),
    InvalidError(
        "invalid_etag",
        'If-Match must be one ETag as it was answered, for example "7" with its quotes, or *.',
        _at("", "the header If-Match is no ETag of a pipeline"),
    ),
    InvalidError("invalid_event_id", "Last-Event-ID must be the id of an event that was told, a number."),
    TooLargeError("body_too_large", "The body has more than 1048576 bytes. Send less."),
    BadQueryError("sort", "Sorting by 'size' is not possible here. Possible: slug, -slug."),
    BadDocumentError("/data", "must be one resource object. Send its type and its attributes."),
    OwnIdError("/data/id", "is chosen by the server. Leave it out."),
    OtherResourceError("/data/type", "is 'edges', and this takes 'nodes'. Send that."),
    NotAcceptableError(
        "not_acceptable",
        "Accept names application/vnd.api+json with parameters only. Name it at least once without any but 'profile'.",
    ),
    UnsupportedMediaTypeError(
        "unsupported_media_type",
        "Content-Type is application/vnd.api+json with the parameter charset. Send it without any but 'profile'.",
    ),
    # Not there
    NotFoundError("pipeline_not_found", "There is no pipeline 'digset'. Did you mean 'digest'?"),
    NotFoundError("node_not_found", "Pipeline 'digest' has no node 'fetsh'. Did you mean 'fetch'?"),
    NotFoundError("edge_not_found", "Pipeline 'digest' has no edge 'fetch.sorry'. Did you mean 'fetch.sorry.error'?"),
    NotFoundError("version_not_found", "Pipeline 'digest' has no version 9. Its active one is 3."),
    NotFoundError("run_not_found", f"There is no run {_ID}."),
    NotFoundError("webhook_not_found", f"There is no webhook {_ID}. GET /webhooks lists them."),
    NotFoundError("delivery_not_found", f"There is no delivery {_ID}; a webhook lists its own."),
    NotFoundError("key_not_found", f"There is no API key {_ID}. GET /api/v3/api_keys lists all."),
    # Pipelines, nodes and edges
    ConflictError("slug_taken", "Another pipeline has the slug 'digest'. Choose another, or update that one."),
    ConflictError(
        "another_body", "A pipeline was made with the idempotency key 'a-1' and another document. Use a new key."
    ),
    ConflictError("node_exists", "Pipeline 'digest' has a node 'fetch' already. Choose another key."),
    ConflictError("pipeline_archived", "Pipeline 'digest' is archived. Create it under another slug."),
    ConflictError("pipeline_not_published", "Pipeline 'digest' is a draft. Publish it first."),
    ChangedMeanwhileError(
        "changed_meanwhile", "Pipeline 'digest' has revision 8 now, not 7. Read it again and repeat your change."
    ),
    InvalidError(
        "invalid_pipeline",
        "/nodes/0/type: node 'fetch' has the unknown type 'http'. Did you mean 'http_request'?",
        _at("/nodes/0/type", "node 'fetch' has the unknown type 'http'. Did you mean 'http_request'?"),
    ),
    InvalidError(
        "key_is_fixed",
        "A node keeps its key: 'fetch' cannot become 'get'. Create another node, delete this.",
        _at("/key", "must be 'fetch'"),
    ),
    # Runs and webhooks
    ConflictError(
        "transition_not_allowed",
        f"Run {_ID} is completed; 'cancel' is not possible from there. Possible are: retry.",
    ),
    ConflictError("never_started", f"Run {_ID} could not start, so nothing can be repeated. Start a new run."),
    ConflictError("unstorable_input", "The input cannot be stored. Send another."),
    ConflictError("too_many_webhooks", "This pipeline has 20 webhooks, which is the most. Delete one first."),
    InvalidError(
        "invalid_input", '/input: "url" is a required property', _at("/input", '"url" is a required property')
    ),
    InvalidError("invalid_schema", "The input schema of the pipeline cannot be used. Correct it and publish again."),
    TooLargeError("input_too_large", "The input has 1300000 bytes; at most 1048576 are taken. Send less."),
    # Not now
    UnavailableError("service_unavailable", "Nobody answers now. Try again in a few seconds.", retry_after_s=2.0),
    UnavailableError(
        "database_unavailable", "The database is not available now. Try again in a few seconds.", retry_after_s=2.0
    ),
    UnavailableError("overloaded", "1000 runs wait to be started. Try again in a few seconds.", retry_after_s=2.0),
    UnavailableError(
        "workers_not_told",
        f"Run {_ID} is cancelled, but the workers could not be told, and may begin what they have. "
        "Cancel it again in a few seconds.",
        retry_after_s=2.0,
    ),
    UnavailableError("not_started", "The run could not be started now. Try again in a few seconds.", retry_after_s=2.0),
    UnavailableError(
        "workers_not_told",
        f"Run {_ID} is cancelled, but the workers could not be told. Cancel it again in a few seconds.",
        retry_after_s=2.0,
    ),
    UnavailableError(
        "run_not_known_yet", f"Run {_ID} waits to be taken. Try again in a few seconds.", retry_after_s=2.0
    ),
)

#: Type -> a problem of that type.
EXAMPLES: dict[str, Problem] = {error.problem.type: error.problem for error in _ERRORS}
