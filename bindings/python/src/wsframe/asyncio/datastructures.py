"""The fields of a head of HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Union


class MultipleValuesError(LookupError):
    """A field is there more than once, and one value was asked for."""


class Headers(MutableMapping[str, str]):
    """
    Names and values in their order. Case does not count in names, and a name may be there more than once.

    Setting a name adds another value; get_all() returns all of them.
    """

    __slots__ = ("_fields",)

    def __init__(self, *others: HeadersLike, **fields: str) -> None:
        self._fields: list[tuple[str, str]] = []
        self.update(*others, **fields)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        if len(values) > 1:
            raise MultipleValuesError(name)
        return values[0]

    def __setitem__(self, name: str, value: str) -> None:
        self._fields.append((name, value))

    def __delitem__(self, name: str) -> None:
        self._fields = [field for field in self._fields if field[0].lower() != name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): None for name, _ in self._fields})

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        ours, theirs = ([(name.lower(), value) for name, value in each._fields] for each in (self, other))
        return ours == theirs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._fields!r})"

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._fields) + "\r\n"

    def update(self, *others: HeadersLike, **fields: str) -> None:  # type: ignore[override]
        """Adds the fields of others: Headers, mappings, or pairs of a name and a value."""
        for other in others:
            if isinstance(other, Headers):
                self._fields += other._fields
            elif isinstance(other, Mapping):
                self._fields += other.items()
            else:
                self._fields += ((name, value) for name, value in other)
        self._fields += fields.items()

    def get_all(self, name: str) -> list[str]:
        """Returns all values of a name."""
        name = name.lower()
        return [value for other, value in self._fields if other.lower() == name]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """All names and values, as they are written, in their order."""
        return iter(self._fields)

    def copy(self) -> Headers:
        """Returns others with the same fields."""
        return Headers(self)


HeadersLike = Union[Headers, Mapping[str, str], Iterable[tuple[str, str]]]
