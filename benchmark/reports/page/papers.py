"""Tables of papers, each with what was measured of its rows, as the page's script draws them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.reports import published
from benchmark.reports.published import Column, Row, Table
from benchmark.results.records import Record

Shown = dict[str, object]
"""A table for the page: id, title, columns, and rows of a name, printed values and lines of measured ones."""


def every(records: Sequence[Record]) -> list[Shown]:
    """All published tables.

    Args:
        records: that are shown beside them.
    """
    return [_shown(table, range(len(table.columns)), records) for table in published.tables().values()]


def touching(records: Sequence[Record]) -> list[Shown]:
    """What papers report on a data set: of each table the columns that are of it.

    Args:
        records: of one data set.
    """
    found = []
    for table in published.tables().values():
        places = [place for place, column in enumerate(table.columns) if _measurable(column, records)]
        if places:
            found.append(_shown(table, places, records))
    return found


def _measurable(column: Column, records: Sequence[Record]) -> bool:
    return column.measurable and any(column.fits(record) for record in records)


def _shown(table: Table, places: Sequence[int], records: Sequence[Record]) -> Shown:
    given = [row for row in table.rows if any(row.values[place] is not None for place in places)]
    return {
        "id": table.id,
        "title": f"{table.paper}, {table.name}",
        "caption": table.caption,
        "known": table.known,
        "damaged": table.damaged,
        "missing": published.lacking(table, list(records)) if len(places) == len(table.columns) else [],
        "columns": [table.columns[place].title for place in places],
        "rows": [_row(table, row, places, records) for row in given],
    }


def _row(table: Table, row: Row, places: Sequence[int], records: Sequence[Record]) -> list[object]:
    measured = []
    for label, values in published.measured(table, row, list(records)):
        chosen = [values[place] for place in places]
        if any(chosen):
            measured.append([label, *chosen])
    printed = table.printed(row)
    return [[row.name, *(printed[place] for place in places)], measured]
