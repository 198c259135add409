"""What a definition service is told by its environment."""

from __future__ import annotations

from shared.settings import DatabaseSettings


class DefinitionSettings(DatabaseSettings):
    """Nothing of its own."""
