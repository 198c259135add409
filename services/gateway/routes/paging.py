"""What every list takes: how many, and where the last page ended."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=200, description="Most items on the page")]
AfterId = Annotated[UUID | None, Query(description="The id that the last page ended with")]
AfterKey = Annotated[str | None, Query(max_length=63, description="The key that the last page ended with")]
AfterSlug = Annotated[str | None, Query(max_length=63, description="The slug that the last page ended with")]
AfterEdge = Annotated[str | None, Query(max_length=200, description="The id that the last page ended with")]
AfterNumber = Annotated[
    int | None, Query(ge=1, le=2_147_483_647, description="The number that the last page ended with")
]

_ORDER = Query(description="Order of the list; a minus stands for descending")
SortBySlug = Annotated[Literal["slug", "-slug"], _ORDER]
SortByKey = Annotated[Literal["key", "-key"], _ORDER]
SortById = Annotated[Literal["id", "-id"], _ORDER]
SortByNumber = Annotated[Literal["number", "-number"], _ORDER]
SortByTime = Annotated[Literal["created_at", "-created_at"], _ORDER]
