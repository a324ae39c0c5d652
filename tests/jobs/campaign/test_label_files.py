"""Files as people fill them in."""

from pathlib import Path

import pytest
from openpyxl import load_workbook

from jobs.campaign.label_files import (
    COLUMNS,
    Filled,
    class_meant,
    read_filled,
    told_otherwise,
    write_form,
)
from jobs.campaign.ports import SKIP
from models.errors import DataError


@pytest.mark.parametrize(
    ("written", "classes", "meant"),
    [
        ("ok", "ok,def", "ok"),
        ("OK", "ok,def", "ok"),
        ("Def ", "ok,def", "def"),
        ("cold  SHUT", "ok,Cold Shut", "Cold Shut"),
        ("coldshut", "ok,Cold Shut", "Cold Shut"),
        ("STRASSE", "ok,Straße", "Straße"),
        ("0.0", "0,1", "0"),
        ("1,0", "0,1", "1"),
        ("1", "01,02", "01"),
        ("2", "0,1", None),
        ("1.5", "0,1", None),
        ("nan", "0,1", None),
        ("Ok", "ok,OK,def", None),  # either may be meant
        ("OK", "ok,OK,def", "OK"),
        ("scratch", "ok,def", None),
        ("skip", "ok,def", SKIP),
        (" Skip", "ok,def", SKIP),
        ("skip", "ok,skip", "skip"),
    ],
)
def test_the_class_that_is_meant_is_told_however_it_is_written(
    written: str, classes: str, meant: str | None
):
    assert class_meant(written, classes.split(",")) == meant


def test_what_german_excel_saved_is_read_and_said(tmp_path: Path):
    file = tmp_path / "labels.csv"
    lines = [
        "Casting ;Pfad;LABEL;Annotator",
        "AB;Gehäuse_Größe.png;Def ;Jörg",
        "cd;b.png;Def ;",
        "ef;c.png;;",
        "gh;d.png;OK;Jörg",
        "ij;e.png;Skip;Jörg",
        "kl;f.png;?;Jörg",
    ]
    file.write_bytes("\r\n".join(lines).encode("cp1252"))
    filled = read_filled(file, ("ok", "def"))
    assert filled == [
        Filled(2, "ab", "Def ", "def", "Jörg"),
        Filled(3, "cd", "Def ", "def", "person"),
        Filled(5, "gh", "OK", "ok", "Jörg"),
        Filled(6, "ij", "Skip", SKIP, "Jörg"),
        Filled(7, "kl", "?", None, "Jörg"),
    ]
    assert told_otherwise(filled) == [
        "2 labels read as def: 'Def '",
        "1 label read as ok: 'OK'",
        "1 label read as skip: 'Skip'",
    ]
    assert told_otherwise([Filled(2, "ab", "def", "def", "Jörg")]) == []


@pytest.mark.parametrize("name", ["form.csv", "form.xlsx", "FORM.XLSX"])
def test_a_form_says_what_may_be_written_and_why_it_is_asked(tmp_path: Path, name: str):
    file = tmp_path / name
    path = Path("/pool/=SUM(A1).png")
    write_form(file, [("ab", path, "bald 0.310")], ("ok", "-def"))
    if file.suffix == ".csv":
        assert file.read_text().splitlines() == [
            ",".join(COLUMNS),
            'ab,/pool/=SUM(A1).png,,,\'=SUM(A1).png,"ok, -def, skip",bald 0.310',
        ]
    else:
        (sheet,) = load_workbook(file).worksheets
        assert [cell.value for cell in sheet[1]] == list(COLUMNS)
        assert sheet["E2"].value == "'=SUM(A1).png"
        assert sheet.data_validations.dataValidation[0].formula1 == '"ok,-def,skip"'
    assert read_filled(file, ("ok", "-def")) == []
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_labels_and_annotators_that_look_like_formulas_come_back(tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text("casting,label,annotator\nab,'-def,'=ann\ncd,-def,@bob\n")
    filled = [(row.label, row.annotator) for row in read_filled(file, ("ok", "-def"))]
    assert filled == [("-def", "=ann"), ("-def", "@bob")]


def test_kinds_of_files_that_are_not_written_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"written to \.csv or \.xlsx"):
        write_form(tmp_path / "labels.ods", [], ("ok", "def"))
