"""What a coordinator is told by its environment."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, SecretStr

from shared.settings import DatabaseSettings, Weakness, weakness_of_key


class CoordinatorSettings(DatabaseSettings):
    #: Every coordinator of an installation has the same one.
    secret: SecretStr = Field(
        min_length=32,
        description="Signs the tokens of attempts; the same for all coordinators",
        examples=["$(openssl rand -hex 32)"],
    )
    window_fast: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Nodes of a fast type that one run may have out at once",
        examples=["256"],
    )
    lease_s: float = Field(
        default=20.0,
        ge=5,
        le=3600,
        description="Seconds; a worker that is silent for so long has died",
        examples=["20"],
    )
    sweep_s: float = Field(
        default=2.0, gt=0, le=60, description="Seconds between two sweeps of the reconciler", examples=["2"]
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days for which a run is kept after it ended, with all that belongs to it; 0 for ever",
        examples=["90"],
    )

    def weaknesses(self) -> Iterator[Weakness]:
        yield from super().weaknesses()
        yield from weakness_of_key("secret", self.secret)
