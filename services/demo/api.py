"""A small JSON API for the fetch example, so that it works without the internet."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.demo.server import serve_app

USERS = {
    1: {"id": 1, "name": "Ada Lovelace", "email": "ada@example.com", "city": "London"},
    2: {"id": 2, "name": "Grace Hopper", "email": "grace@example.com", "city": "New York"},
    3: {"id": 3, "name": "Alan Turing", "email": "alan@example.com", "city": "Manchester"},
}
POSTS = [
    {"id": 1, "user": 1, "title": "Notes on the engine"},
    {"id": 2, "user": 1, "title": "On numbers and music"},
    {"id": 3, "user": 2, "title": "A compiler is possible"},
    {"id": 4, "user": 3, "title": "On computable numbers"},
]


async def user(request: Request) -> Response:
    found = USERS.get(request.path_params["id"])
    if found is None:
        return JSONResponse({"error": f"there is no user {request.path_params['id']}"}, status_code=404)
    return JSONResponse(found)


async def posts(request: Request) -> Response:
    wanted = request.query_params.get("user")
    return JSONResponse([post for post in POSTS if wanted is None or str(post["user"]) == wanted])


APP = Starlette(
    routes=[
        Route("/users/{id:int}", user, methods=["GET"]),
        Route("/posts", posts, methods=["GET"]),
    ]
)


async def serve(port: int, on_ready: Callable[[], None]) -> None:
    await serve_app(APP, port, on_ready)
