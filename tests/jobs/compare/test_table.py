"""A comparison as Markdown."""

from typing import Any

from jobs.compare.table import markdown

DIFFERENCE = {"mean": 0.1, "low": 0.05, "high": 0.15, "p": 0.001}


def row(strategy: str, **changes: Any) -> dict[str, Any]:
    base = {
        "strategy": strategy,
        "curve": 0.7,
        "difference": None,
        "p_holm": None,
        "supported": False,
        "final": 0.8,
        "final_difference": None,
        "labels_to_target": {"median": None, "seeds_reaching": 3},
        "wins": {},
        "accuracy": 0.9,
    }
    return base | changes


def result(**changes: Any) -> dict[str, Any]:
    other = {"difference": DIFFERENCE, "p_holm": 0.003, "supported": True}
    of = {
        "measure": "test/balanced_accuracy",
        "statistic": "mean of the curve",
        "labels_from": 40,
        "labels_to": 80,
        "seeds": 10,
        "comparisons": 1,
        "shortfall": None,
        "false_claim": "at most 5%",
        "not_above_constant": [],
    }
    base = {
        "claim": "supported differences: bald +0.1",
        "evidence": of | changes.pop("evidence", {}),
        "split": {"split": "by-part", "says": "every seed has its own", "test_parts": {}},
        "measure": "test/balanced_accuracy",
        "target": 0.95,
        "reference": "random",
        "seeds": list(range(10)),
        "labels": [20, 40, 80],
        "strategies": [
            row("random", wins={"bald": 2.5}),
            row("bald", wins={"random": 7.5}, final_difference=DIFFERENCE, **other),
        ],
        "constant_classifier": {"curve": 0.5, "final": 0.5, "accuracy": 0.86},
        "reference_needs": [
            {"labels": 40, "strategy": "bald", "value": 0.7, "needs": 66.4},
            {"labels": 80, "strategy": "bald", "value": 0.8, "needs": None},
        ],
        "command": "python -m jobs compare",
        "machine": "a machine",
        "versions": {"python": "3.11"},
    }
    return base | changes


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_has_the_claim_first_and_what_describes_after_it():
    text = markdown(result())
    columns = cells(text, "strategy")
    assert columns[1] == "test/balanced_accuracy, mean over 40 to 80 labels"
    assert cells(text, "`bald`") == [
        "`bald`",
        "0.7",
        "+0.1 (+0.05 to +0.15)",
        "0.003",
        "yes",
        "0.8",
        "+0.1 (+0.05 to +0.15)",
        "0.9",
        "> 80 (3 of 10)",
    ]


def test_the_constant_classifier_stands_below_the_strategies():
    constant = cells(markdown(result()), "*constant classifier*")
    assert (constant[1], constant[5], constant[7]) == ("0.5", "0.5", "0.86")
    unknown = {"curve": None, "final": None, "accuracy": None}
    none = cells(markdown(result(constant_classifier=unknown)), "*constant classifier*")
    assert set(none[1:]) == {""}


def test_what_random_needs_for_what_the_best_has_is_a_table_of_its_own():
    text = markdown(result())
    assert cells(text, "labels") == ["labels", "`bald` has", "labels that `random` needs for it"]
    assert cells(text, "40") == ["40", "0.7", "66"]
    assert cells(text, "80") == ["80", "0.8", "> 80"]
    assert "needs for it" not in markdown(result(reference_needs=[]))


def test_the_first_line_says_the_claim_and_what_it_rests_on():
    first = markdown(result()).splitlines()[0]
    assert first == (
        "**supported differences: bald +0.1.** Tested: test/balanced_accuracy, mean of the curve "
        "(40 to 80 labels); 1 comparison, 10 paired seeds; at most 5%."
    )


def test_too_few_seeds_are_told_in_every_row_that_might_claim():
    few = {"shortfall": "not enough seeds to claim: 3 of 10"}
    text = markdown(result(evidence=few))
    assert cells(text, "`bald`")[4] == "not enough seeds to claim"
    assert cells(text, "`random`")[4] == ""


def test_who_wins_against_whom_on_how_many_seeds():
    table = markdown(result()).partition("better in the mean")[2]
    assert cells(table, "`bald`") == ["`bald`", "7.5", ""]
