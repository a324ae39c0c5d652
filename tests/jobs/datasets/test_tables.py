"""Tables as spreadsheets write them."""

import codecs
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from jobs.datasets.tables import as_csv, as_excel, as_it_was, harmless, read_table
from models.errors import DataError

WANTED = ("casting", "label")
READ = [(2, {"casting": "a", "label": "Riß"}), (3, {"casting": "b", "label": "ok"})]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_a_csv_file_is_read_however_a_spreadsheet_saved_it(
    tmp_path: Path, delimiter: str, encoding: str
):
    lines = [("casting", "label"), ("a", "Riß"), ("b", "ok")]
    text = "".join(f"{delimiter.join(line)}\r\n" for line in lines)
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode(encoding))
    assert read_table(file, WANTED) == READ


def test_utf_16_of_either_order_is_told_by_its_mark(tmp_path: Path):
    file = tmp_path / "labels.txt"
    file.write_bytes(codecs.BOM_UTF16_BE + "casting\tlabel\na\tRiß\nb\tok".encode("utf-16-be"))
    assert read_table(file, WANTED) == READ


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=;\n", '"sep=;"\r\n', "sep=;;;\n"])
def test_a_line_that_names_the_separator_is_followed_and_counted(tmp_path: Path, first: str):
    file = tmp_path / "labels.csv"
    file.write_text(f"{first}casting;label\na,b;ok\n", newline="")
    assert read_table(file, WANTED) == [(3, {"casting": "a,b", "label": "ok"})]


def test_names_of_columns_count_in_any_case_and_values_stay_as_they_are(tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text(" Casting ,LABEL\u00a0,Note\na,Def ,\n,,\n\nb,ok\n")
    assert read_table(file, WANTED) == [
        (2, {"casting": "a", "label": "Def ", "note": ""}),
        (5, {"casting": "b", "label": "ok", "note": ""}),
    ]


def test_a_value_with_the_other_separators_in_it_does_not_mislead(tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text('path;"label";casting\n"a,b,c,d,e";ok;x\n')
    assert read_table(file, WANTED) == [(2, {"path": "a,b,c,d,e", "label": "ok", "casting": "x"})]


def test_the_sheet_of_an_excel_file_with_the_columns_is_read_its_numbers_without_points(
    tmp_path: Path,
):
    book = Workbook()
    notes = book.worksheets[0]
    notes.append(["How to label"])
    sheet = book.create_sheet("labels")
    sheet.append(["Casting", "Label "])
    for row in (["a", 0.0], ["b", 1], [None, None], ["c", 1.5], ["d", True], ["e", "ok"]):
        sheet.append(row)
    file = tmp_path / "labels.csv"  # whatever it is called
    book.save(file)
    read = [(n, row["casting"], row["label"]) for n, row in read_table(file, WANTED)]
    assert read == [
        (2, "a", "0"),
        (3, "b", "1"),
        (5, "c", "1.5"),
        (6, "d", "True"),
        (7, "e", "ok"),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"image,verdict\na,ok\n", "no column casting and label among image, verdict"),
        (b"", "no column casting and label among ; the first line names the columns"),
        (b"casting,label,Label\na,ok,ok\n", "1 columns stand in it twice: label"),
        (b"casting,label\na,ok,fine\n", "more fields than the 2 columns in line 2"),
        (b'casting,label\n"a"b,ok\n', "not a readable table .*; save it as .csv"),
        (b"casting,label\n\x81,ok\n", "not a readable table"),
        (b"casting,label\na,o\x00k\n", "it holds NUL bytes"),
        (b"\xff\xfec", "not a readable table"),
        (b"PK\x03\x04 and nothing more", "not a readable table .*zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"of the old kind; save it as \.xlsx or \.csv"),
    ],
)
def test_what_is_no_such_table_is_refused_with_the_way_out(
    tmp_path: Path, content: bytes, complaint: str
):
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        read_table(file, WANTED)
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "nothing.csv", WANTED)


DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''-1"]  # noqa: RUF001


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_spreadsheet_takes_for_a_formula_is_made_harmless(text: str):
    assert harmless(text) == f"'{text}"
    assert as_it_was(harmless(text)) == text


@pytest.mark.parametrize("text", ["", "ok", "'quoted'", "a=b", " =1", "x-1"])
def test_what_is_harmless_stays_as_it_is(text: str):
    assert harmless(text) == text


@given(st.text("'=+-@\t\r\nx＝"))  # noqa: RUF001
def test_whatever_was_made_harmless_comes_back_as_it_was(text: str):
    assert as_it_was(harmless(text)) == text


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_what_is_written_is_safe_to_open_and_is_read_back(tmp_path: Path, suffix: str):
    columns, rows = ("casting", "label", "score"), [("=cmd", "-x", 0.5), ("b", None, None)]
    file = tmp_path / f"table.{suffix}"
    file.write_bytes(
        as_csv(columns, rows) if suffix == "csv" else as_excel(columns, rows, {"label": ["ok"]})
    )
    assert read_table(file, WANTED) == [
        (2, {"casting": "=cmd", "label": "-x", "score": "0.5"}),
        (3, {"casting": "b", "label": "", "score": ""}),
    ]
    cells = [cell for row in _cells(file) for cell in row if cell]
    assert cells == ["casting", "label", "score", "'=cmd", "'-x", "0.5", "b"]


def _cells(file: Path) -> list[list[str | None]]:
    if file.suffix == ".csv":
        return list(csv.reader(io.StringIO(file.read_text())))
    sheet = load_workbook(file).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row}.isdisjoint("f")
    return [[cell.value for cell in row] for row in sheet.iter_rows()]  # type: ignore[misc]


def test_names_that_neither_utf_8_nor_excel_takes_are_written_so_that_they_can_be_told():
    name = "Gu\udcdf\x07.png"
    assert as_csv(["path"], [[name]]) == b"path\nGu\\udcdf\x07.png\n"
    book = load_workbook(io.BytesIO(as_excel(["path"], [[name]], {})))
    assert book.worksheets[0]["A2"].value == "Gu\\udcdf\ufffd.png"


def test_excel_offers_the_choices_of_a_column_unless_they_are_too_long_for_it():
    few = load_workbook(io.BytesIO(as_excel(["label"], [["ok"]], {"label": ["ok", 'a"b']})))
    (rule,) = few.worksheets[0].data_validations.dataValidation
    assert (rule.formula1, str(rule.sqref)) == ('"ok,a""b"', "A2")
    many = as_excel(["label"], [["ok"]], {"label": ["x" * 100] * 3})
    assert not load_workbook(io.BytesIO(many)).worksheets[0].data_validations.dataValidation
