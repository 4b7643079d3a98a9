"""What has been decoded lately stays in memory, up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps what was used last; what was not used for longest goes first.

    Args:
        size: bytes of one value.
        limit: bytes of all that is kept; one value is kept whatever its size.
    """

    def __init__(self, size: Callable[[T], int], limit: int) -> None:
        self.size, self.limit, self.held = size, limit, 0
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The value of a key, loaded where it is not at hand.

        Args:
            key: of the value.
            load: makes it.
        """
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = load()
        self.held += self.size(value)
        while self.held > self.limit and len(self._values) > 1:
            _, gone = self._values.popitem(last=False)
            self.held -= self.size(gone)
        return value
