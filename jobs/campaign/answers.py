"""What was said of castings: which word counts, and where people do not agree."""

from collections.abc import Iterable

from jobs.campaign.ports import ORACLE, SKIP, Said


def standing(said: Iterable[Said], until: int | None = None) -> dict[str, Said]:
    """The word on each casting that counts, of all words or of those up to number `until`.

    That is the latest of a person, and the oracle's where no person has said anything.
    """
    found: dict[str, Said] = {}
    for word in said:
        if until is not None and word.number > until:
            break
        earlier = found.get(word.casting)
        if word.annotator != ORACLE or earlier is None or earlier.annotator == ORACLE:
            found[word.casting] = word
    return found


def disagreements(said: Iterable[Said]) -> dict[str, dict[str, str]]:
    """What each person last called a casting, for the castings that they call differently.

    Who cannot tell does not disagree, and nor does the oracle, whom people correct.
    """
    words: dict[str, dict[str, str]] = {}
    for word in said:
        if word.annotator != ORACLE:
            words.setdefault(word.casting, {})[word.annotator] = word.label
    return {casting: by for casting, by in words.items() if len(set(by.values()) - {SKIP}) > 1}
