"""What a coordinator is told by its environment."""

from __future__ import annotations

import socket
from os import getpid

from pydantic import Field, SecretStr

from shared.settings import DatabaseSettings


class CoordinatorSettings(DatabaseSettings):
    #: Every coordinator of an installation has the same one.
    secret: SecretStr = Field(
        min_length=32,
        description="Signs the tokens of attempts; the same for all coordinators",
        examples=["$(openssl rand -hex 32)"],
    )
    coordinator_name: str = Field(default_factory=lambda: f"coordinator-{socket.gethostname()}-{getpid()}")
    window_fast: int = Field(
        default=256,
        ge=1,
        description="Nodes of a fast type that one run may have out at once",
        examples=["256"],
    )
    lease_s: float = Field(
        default=30.0, ge=5, description="A worker that is silent for so long has died", examples=["30"]
    )
    sweep_s: float = Field(default=2.0, gt=0, description="Time between two sweeps of the reconciler", examples=["2"])
