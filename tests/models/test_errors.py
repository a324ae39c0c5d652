"""What errors say."""

from models.errors import listed


def test_a_list_of_names_shows_five_and_counts_the_rest():
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert listed([]) == ""
