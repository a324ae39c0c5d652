"""Tables as people save them: CSV in the ways that spreadsheets write it, and Excel files."""

import codecs
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models.errors import DataError, listed

Line = tuple[int, dict[str, str]]
"""Number in the file, and the value of each column as it stands there; line 1 is the first."""

_Row = tuple[int, list[str]]
_EXCEL, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # what the bytes of either begin with
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;\t]*\r?\n', re.IGNORECASE)
_FORMULA = "[=+\\-@\t\r\n＝＋－＠]"  # noqa: RUF001 -- Excel takes the full-width ones for formulas too
_DANGEROUS, _MADE_HARMLESS = re.compile(f"'*{_FORMULA}"), re.compile(f"'+{_FORMULA}")
_CHOICES = 255  # characters that Excel takes for the choices of a cell


def read_table(file: Path, wanted: Sequence[str]) -> list[Line]:
    """Read a table that has at least the wanted columns; lines without a value do not count.

    CSV may be separated by comma, semicolon or tab, begin with `sep=`, and be in UTF-8, UTF-16 or
    cp1252; of an Excel file (`.xlsx`) the first sheet with these columns is read. Column names
    come back in lower case without spaces around them. What `harmless` did is undone.

    Raises:
        DataError: it is no such file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
    if content.startswith(_OLD_EXCEL):
        raise DataError(f"{file}: an Excel file of the old kind; save it as .xlsx or .csv")
    try:
        rows = (
            _of_excel(content, wanted) if content.startswith(_EXCEL) else _of_csv(content, wanted)
        )
    except Exception as error:  # whatever a broken file makes its reader raise
        raise DataError(
            f"{file}: not a readable table ({error}); save it as .csv (UTF-8) or .xlsx"
        ) from error
    return _by_column(file, rows, wanted)


def harmless(text: str) -> str:
    """The text with a ' in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def as_it_was(text: str) -> str:
    """The text from before it was made `harmless`."""
    return text[1:] if _MADE_HARMLESS.match(text) else text


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table in UTF-8 that is safe to open in a spreadsheet; None is an empty cell."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def as_excel(
    columns: Sequence[str], rows: Iterable[Sequence[object]], choices: Mapping[str, Sequence[str]]
) -> bytes:
    """An Excel file (`.xlsx`), safe to open, in which some columns offer choices."""
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    (sheet,) = book.worksheets
    sheet.append(list(columns))
    for row in rows:
        sheet.append([ILLEGAL_CHARACTERS_RE.sub("\ufffd", _cell(value)) for value in row])
    for column, names in choices.items():
        offered = ",".join(names).replace('"', '""')
        if len(offered) <= _CHOICES:
            rule = DataValidation("list", formula1=f'"{offered}"', allow_blank=True)
            letter = get_column_letter(columns.index(column) + 1)
            rule.add(f"{letter}2:{letter}{max(sheet.max_row, 2)}")
            sheet.add_data_validation(rule)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _cell(value: object) -> str:
    """A value as it is written; what of a file name is no UTF-8 becomes an escape."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    return harmless(value.encode(errors="backslashreplace").decode())


def _of_csv(content: bytes, wanted: Sequence[str]) -> list[_Row]:
    text, before = _decoded(content), 0
    said = _SEPARATOR.match(text)
    if said:
        text, before = text[said.end() :], 1
        delimiter = said[1]
    else:
        delimiter = _delimiter(text, wanted)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [(table.line_num + before, row) for row in table]


def _decoded(content: bytes) -> str:
    for bom, encoding in _BOMS.items():
        if content.startswith(bom):
            return content.decode(encoding)
    if 0 in content[:2]:  # UTF-16 without its mark; the first name is of Latin letters
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le")
    if 0 in content:
        raise ValueError("it holds NUL bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _delimiter(text: str, wanted: Sequence[str]) -> str:
    """The delimiter with which the first line names most of the columns, wanted ones first."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def named(delimiter: str) -> tuple[int, int]:
        names = [_name(cell) for cell in next(csv.reader([header], delimiter=delimiter), ())]
        return sum(column in names for column in wanted), len(names)

    return max(_DELIMITERS, key=named)


def _of_excel(content: bytes, wanted: Sequence[str]) -> list[_Row]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():  # of what it leaves out: choices, colours
        warnings.simplefilter("ignore")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = []
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some programs write wrong ones
            rows = enumerate(sheet.iter_rows(values_only=True), 1)
            sheets.append([(number, [_as_text(value) for value in row]) for number, row in rows])
            names = {_name(cell) for cell in next((row for _, row in sheets[-1] if any(row)), ())}
            if names.issuperset(wanted):
                return sheets[-1]
    return sheets[0]


def _as_text(value: object) -> str:
    """A cell of Excel as it is shown; Excel keeps every number as a float."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _name(cell: str) -> str:
    return as_it_was(cell).strip("\ufeff").strip().casefold()


def _by_column(file: Path, rows: Sequence[_Row], wanted: Sequence[str]) -> list[Line]:
    filled = [(n, row) for n, row in rows if any(cell.strip() for cell in row)]
    columns = [_name(cell) for cell in filled[0][1]] if filled else []
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise DataError(
            f"{file}: no column {' and '.join(missing)} among {', '.join(columns)}; the first "
            f"line names the columns"
        )
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise DataError(f"{file}: {len(twice)} columns stand in it twice: {listed(twice)}")
    wide = [str(n) for n, row in filled if any(cell.strip() for cell in row[len(columns) :])]
    if wide:
        raise DataError(
            f"{file}: more fields than the {len(columns)} columns in line {listed(wide)}; "
            f'a value with a comma wants quotes ("a,b")'
        )
    empty = dict.fromkeys(columns, "")
    return [
        (n, empty | {c: as_it_was(cell) for c, cell in zip(columns, row, strict=False)})
        for n, row in filled[1:]
    ]
