"""What JSON:API asks a server to refuse, beside what the flat interface refuses.

ServiceError
├── BadQueryError              400: a parameter that is unknown or cannot be granted here
├── BadDocumentError           400: not a JSON:API document, or one that contradicts itself
├── OwnIdError                 403: an id chosen by the client where none can be
├── OtherResourceError         409: a type or an id that is not the one of the path
├── NotAcceptableError         406
└── UnsupportedMediaTypeError  415
"""

from __future__ import annotations

from shared.contracts.problems import FieldProblem
from shared.errors import ServiceError


class BadQueryError(ServiceError):
    """Says which parameter, and what is possible."""

    status = 400
    title = "Invalid query"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__("invalid_query", detail, [FieldProblem(pointer=f"/query/{parameter}", detail=detail)])


class _PlacedError(ServiceError):
    kind = "invalid_document"

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(self.kind, f"{pointer or 'The document'}: {detail}", [_finding(pointer, detail)])


def _finding(pointer: str, detail: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, detail=detail[:1].upper() + detail[1:])


class BadDocumentError(_PlacedError):
    status = 400
    title = "Invalid JSON:API document"


class OwnIdError(_PlacedError):
    status = 403
    title = "Not allowed"
    kind = "client_generated_id"


class OtherResourceError(_PlacedError):
    status = 409
    title = "Another resource"
    kind = "another_resource"


class NotAcceptableError(ServiceError):
    status = 406
    title = "Not acceptable"


class UnsupportedMediaTypeError(ServiceError):
    status = 415
    title = "Unsupported media type"
