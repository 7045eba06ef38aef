"""One declared value read from a row: found, cleaned, typed, mapped, bounded. A cell that cannot be raises Fault."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from hub.sources import moments, money
from hub.sources.document import Field, FieldType, SourceDocument
from hub.sources.fault import Fault
from hub.sources.paths import Getter, Row, getter

_Number = TypeVar("_Number", int, Decimal)
Reader = Callable[[Row], Any]
"""A value as JSON has it; None where nothing stands."""
Cell = Callable[[str, Any, Row], Any]
"""Types what stands in a column, for which the row may be asked (its currency). Raises Fault."""

AROUND: Final = "^"
"""The column that holds the row around an entry of a list."""
MOST_ID_CHARACTERS: Final = 200
_MOST_ENTRIES: Final = 200
_MOST_DEPTH: Final = 32
_LEAST_WHOLE: Final = -(2**63)
_BEYOND_WHOLE: Final = 2**64
_TRUE: Final = frozenset({"true", "yes", "y", "1", "t", "on"})
_FALSE: Final = frozenset({"false", "no", "n", "0", "f", "off"})
_WHOLE_FLOAT: Final = 2**53
_PLAIN_NUMBER: Final = 10**15
"""Below it typed numbers are taken as they are, without a look at their digits."""
_KEPT_CONTROLS: Final = frozenset("\t\n")


class Money:
    """What an amount is in: a constant, or a column of the row."""

    def __init__(self, document: SourceDocument) -> None:
        said = document.currency
        self.constant = said if isinstance(said, str) else None
        self._of: Reader | None = None if said is None or isinstance(said, str) else self._column(said)
        self._convert = document.convert
        rates = {} if document.convert is None else document.convert.rates
        self._rates = {code: Decimal(repr(rate)) for code, rate in rates.items()}

    @property
    def converts(self) -> bool:
        """Whether amounts are kept in another currency than they are written in."""
        return self._convert is not None

    def stated(self, row: Row) -> str | None:
        """The currency in which the row's amounts are written."""
        return self.constant if self._of is None else self._of(row)

    def final(self, row: Row) -> str | None:
        """The currency in which they are kept."""
        return self.stated(row) if self._convert is None else self._convert.to

    def keep(self, column: str, found: Decimal, stated: str | None) -> Decimal:
        """The amount in the currency that is kept."""
        if self._convert is None or stated == self._convert.to:
            return found
        if stated not in self._rates:
            raise Fault(column, stated, "no rate", f"one of {', '.join(sorted(self._rates))}")
        return money.converted(found, self._rates[stated], self._convert.to)

    @staticmethod
    def _column(said: Field) -> Reader:
        read = _mapped(said, _read_id)

        def code(row: Row) -> str | None:
            found = read(row.get(AROUND, row))
            if found is None:
                return None
            if str(found).upper() not in money.EXPONENT_OF:
                raise Fault(_name(said), found, "no currency", "a code of ISO 4217 such as GBP")
            return str(found).upper()

        return code


class Readers:
    """Makes readers of a document's fields."""

    def __init__(self, document: SourceDocument) -> None:
        self._document = document
        self.money = Money(document)
        self.columns: set[str] = set()
        """Every column and path that a reader reads."""

    def get(self, column: str) -> Getter:
        """Reads a column as it is."""
        self.columns.add(column)
        return getter(column)

    def reader(self, field: Field, otherwise: FieldType | None = None) -> Reader:
        """Reads a field; `otherwise` is its type where it says none."""
        if isinstance(field.column, str):
            self.columns.add(field.column)
        else:
            self.columns.update(field.column or ())
        return self._required(field, _mapped(field, self._typed(field, field.type or otherwise)))

    def _typed(self, field: Field, kind: FieldType | None) -> Cell:
        document = self._document
        mark, most = document.decimal_mark, document.most_characters
        cells: dict[FieldType | None, Cell] = {
            None: lambda column, value, _: _as_it_comes(column, value, most),
            "text": lambda column, value, _: _text(column, value, most),
            "id": _read_id,
            "integer": lambda column, value, _: _bounded(column, _integer(column, value, mark), field),
            "decimal": lambda column, value, _: money.plain(_bounded(column, money.number(column, value, mark), field)),
            "boolean": lambda column, value, _: _boolean(column, value),
            "list": lambda column, value, _: _list(column, value, field.separator, most),
        }
        if kind == "money":
            return self._money(field)
        if kind == "date":
            read = moments.reader(_name(field), field.dates or document.dates, document.timezone)
            return lambda _, value, __: moments.written(read(value))
        return cells[kind]

    def moment(self, field: Field) -> Callable[[Row], int | None]:
        """Reads a field as milliseconds since 1970."""
        document = self._document
        read = moments.reader(_name(field), field.dates or document.dates, document.timezone)
        if isinstance(field.column, str):
            self.columns.add(field.column)
        else:
            self.columns.update(field.column or ())
        return self._required(field, _mapped(field, lambda _, value, __: read(value)))

    def _money(self, field: Field) -> Cell:
        mark, currency = self._document.decimal_mark, self.money
        is_plain = not field.minor and field.at_least is None and field.at_most is None and not currency.converts

        def read(column: str, value: Any, row: Row) -> Any:
            if is_plain and type(value) is float and abs(value) < _PLAIN_NUMBER:
                return int(value) if value.is_integer() else value
            stated = currency.stated(row)
            found = money.amount(column, value, mark, stated, minor=field.minor)
            return money.plain(currency.keep(column, _bounded(column, found, field), stated))

        return read

    @staticmethod
    def _required(field: Field, read: Reader) -> Reader:
        if not field.required:
            return read

        def demand(row: Row) -> Any:
            value = read(row)
            if value is None:
                raise Fault(_name(field), None, "empty", "a value")
            return value

        return demand


def _mapped(field: Field, typed: Cell) -> Reader:
    """Found, mapped, then typed."""
    if field.column is None:
        return lambda _: field.value
    names = [field.column] if isinstance(field.column, str) else field.column
    getters = [(name, getter(name)) for name in names]
    meant = {said.casefold(): value for said, value in field.values.items()}
    default, others = field.default, field.others

    if len(getters) == 1 and not meant:
        return _from_one(*getters[0], typed, default)

    def read(row: Row) -> Any:
        for name, get in getters:
            value = get(row)
            if _is_empty(value):
                continue
            if meant and (said := _said(value).casefold()) in meant:
                found = meant[said]
            elif meant and others == "reject":
                raise Fault(name, value, "not listed", "one of " + ", ".join(sorted(field.values)))
            else:
                found = None if meant and others == "empty" else typed(name, value, row)
            if found is not None or meant:
                return default if found is None else found
        return default

    return read


def _from_one(name: str, get: Getter, typed: Cell, default: Any) -> Reader:
    def read(row: Row) -> Any:
        value = get(row)
        # spelled out, as this runs for every cell of every row
        if value is None or value == "" or value != value or _is_blank(value):  # noqa: PLR0124  # NaN
            return default
        found = typed(name, value, row)
        return default if found is None else found

    return read


def _name(field: Field) -> str:
    return field.column if isinstance(field.column, str) else " or ".join(field.column or ())


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value != value or _is_blank(value)  # noqa: PLR0124  # NaN alone differs


def _is_blank(value: Any) -> bool:
    return type(value) is str and value.isspace()


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _as_it_comes(column: str, value: Any, most: int, depth: int = 0) -> Any:  # noqa: PLR0911, C901  # one a type
    if depth > _MOST_DEPTH:
        raise Fault(column, None, "nested too deeply", f"at most {_MOST_DEPTH} levels")
    match value:
        case str():
            return _text(column, value, most)
        case bool():
            return value
        case int():
            return _in_64_bits(column, value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return _in_64_bits(column, money.plain(value)) if value.is_finite() else None
        case dt.datetime():
            return moments.written(moments.reader(column, ["iso"], "UTC")(value))
        case dt.date():
            return value.isoformat()
        case list():
            return [_as_it_comes(column, entry, most, depth + 1) for entry in value[:_MOST_ENTRIES]]
        case Mapping():
            entries = list(value.items())[:_MOST_ENTRIES]
            named = [(_text(column, str(name), most), entry) for name, entry in entries]
            return {name: _as_it_comes(column, entry, most, depth + 1) for name, entry in named if name is not None}
        case None:
            return None
        case _:
            raise Fault(column, value, type(value).__name__, "text, a number, a date, true or false")


def _in_64_bits(column: str, found: float) -> float:
    """A whole number beyond them has no place in what records are made of."""
    if isinstance(found, int) and not _LEAST_WHOLE <= found < _BEYOND_WHOLE:
        raise Fault(column, found, "out of range", "a whole number of 64 bits; an identifier says `type: id`")
    return found


def _text(column: str, value: Any, most: int) -> str | None:
    """Text without blanks at its ends and without what a terminal would obey; NUL has no place in a database either."""
    if not isinstance(value, str):
        value = _as_it_comes(column, value, most)
        if isinstance(value, list | dict):
            raise Fault(column, value, "nested", "text; name a path into it")
        value = _said(value)
    if len(value) > most:
        raise Fault(column, value, f"{len(value):,} characters", f"at most {most:,} characters")
    if not value.isprintable():
        value = "".join(map(_clean, value))
    return value.strip() or None


def _clean(character: str) -> str:
    match unicodedata.category(character):
        case "Cs":
            return "\ufffd"
        case "Cc":
            return character if character in _KEPT_CONTROLS else ""
        case _:
            return character


def _read_id(column: str, value: Any, _: Row) -> str | None:
    """An identifier digit for digit, a number never through a float; `17850.0`, as pandas writes it, is 17850."""
    if isinstance(value, str):
        found = value.strip()
        if found.isalnum() and len(found) <= MOST_ID_CHARACTERS:
            return found
        found = _without_zeros(found)
    elif isinstance(value, bool):
        raise Fault(column, value, "no identifier", "text or a whole number")
    elif isinstance(value, int):
        found = str(value)
    elif isinstance(value, float):
        if not value.is_integer() or abs(value) >= _WHOLE_FLOAT:
            raise Fault(column, value, "inexact", "an identifier as text or whole number; this one lost digits")
        found = str(int(value))
    elif _is_whole(value):
        found = str(int(value))
    else:
        raise Fault(column, value, "no identifier", "text or a whole number")
    if len(found) > MOST_ID_CHARACTERS:
        raise Fault(column, value, f"{len(found):,} characters", f"at most {MOST_ID_CHARACTERS} characters")
    if not found.isprintable():
        raise Fault(column, value, "unprintable", "an identifier of printable characters")
    return found or None


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number whose digits can be written: those of 1e99999999 would be made for hours."""
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > MOST_ID_CHARACTERS:
        return False
    return value == value.to_integral_value()


def _without_zeros(text: str) -> str:
    whole, point, zeros = text.partition(".")
    is_float = point and zeros and not zeros.strip("0") and whole.removeprefix("-").isdigit()
    return whole if is_float else text


def _integer(column: str, value: Any, mark: str) -> int:
    if type(value) is int and abs(value) < _PLAIN_NUMBER:
        return value
    found = money.number(column, value, mark)
    if found != found.to_integral_value():
        raise Fault(column, value, "not whole", "a whole number")
    return int(found)


def _bounded(column: str, found: _Number, field: Field) -> _Number:
    if field.at_least is not None and found < field.at_least:
        raise Fault(column, found, "too small", f"at least {field.at_least:g}")
    if field.at_most is not None and found > field.at_most:
        raise Fault(column, found, "too big", f"at most {field.at_most:g}")
    return found


def _boolean(column: str, value: Any) -> bool:
    said = _said(value).lower()
    if isinstance(value, bool) or said in _TRUE or said in _FALSE:
        return value if isinstance(value, bool) else said in _TRUE
    raise Fault(column, value, "neither", "true or false, yes or no, 1 or 0")


def _list(column: str, value: Any, separator: str, most: int) -> list[Any] | None:
    entries = value.split(separator) if isinstance(value, str) else value if isinstance(value, list) else [value]
    if len(entries) > _MOST_ENTRIES:
        raise Fault(column, f"{len(entries)} entries", "too many", f"at most {_MOST_ENTRIES} entries")
    kept = [_as_it_comes(column, entry, most) for entry in entries]
    return [entry for entry in kept if entry not in (None, "")] or None
