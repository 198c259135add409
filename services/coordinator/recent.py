"""Values that were used last, as many as fit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Bounded by number and, where sizes are told, by their sum; what was not used for longest goes first."""

    def __init__(self, most: int, most_size: int | None = None) -> None:
        self._most = most
        self._most_size = most_size
        self._size = 0
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, size: int = 0) -> None:
        self.drop(key)
        self._values[key] = (value, size)
        self._size += size
        while len(self._values) > self._most or (self._most_size and self._size > self._most_size):
            _, (_, freed) = self._values.popitem(last=False)
            self._size -= freed

    def drop(self, key: Key) -> None:
        """Nothing, when it is not there."""
        if (found := self._values.pop(key, None)) is not None:
            self._size -= found[1]

    def clear(self) -> None:
        self._values.clear()
        self._size = 0
