"""Cut each distinct raw text once: values repeat, and a text seen before costs one look-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K", bound="str | tuple[Any, ...]")
V = TypeVar("V")

# Real files have some thousand distinct values of some characters; a hostile one has what it wants.
_MOST, _LONGEST = 20_000, 1000


class Memory(dict[K, V]):
    """``memory[raw]`` is what `cut` makes of `raw`; long texts are not kept, and too many are all forgotten."""

    def __init__(self, cut: Callable[[K], V]) -> None:
        super().__init__()
        self._cut: Callable[[K], V] = cut

    def __missing__(self, raw: K) -> V:
        value = self._cut(raw)
        if sum(map(len, raw)) <= _LONGEST:  # of a text its characters, of a tuple those of its texts
            if len(self) >= _MOST:
                self.clear()
            self[raw] = value
        return value
