import pytest

from models import errors
from models.errors import CastingError, first_line, listed


def test_every_error_of_the_tree_is_one_that_a_user_can_mend_and_the_drawing_has_all():
    tree = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = [kind for kind in tree if issubclass(kind, Exception)]
    assert all(issubclass(kind, CastingError) for kind in raised)
    assert all(kind.__name__ in errors.__doc__ for kind in raised)


def test_of_a_long_list_the_first_names_are_told_and_how_many_more_there_are():
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("(raised as a result of autoflush)\nlocked\n[SQL: INSERT ...]", "locked"),
        (
            "no host at http://me:secret@tracking:5000/api",
            "no host at http://***@tracking:5000/api",
        ),
        (
            "postgresql+psycopg://u:p@db/ledger is away",
            "postgresql+psycopg://***@db/ledger is away",
        ),
        ("ask a@b.example", "ask a@b.example"),
        ("", "RuntimeError"),
    ],
)
def test_of_an_error_of_somebody_elses_the_first_line_is_told_without_a_password(text, line):
    assert first_line(RuntimeError(text)) == line
