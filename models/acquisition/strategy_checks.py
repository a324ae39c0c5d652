"""The checks that every strategy passes: those of the table, and a user's own.

Each check is a function of the strategy that returns what went wrong, "" for nothing. The castings
are drawn at random and few; nothing is read or written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.acquisition.candidates import Candidates
from models.acquisition.selection import choose_batch
from models.acquisition.strategy import KNOWABLE, Strategy, needs_of
from models.errors import DataError


def check_strategy(strategy: Strategy) -> dict[str, str]:
    """What went wrong in each check, by its name as a sentence; to raise is to go wrong."""
    outcomes = {}
    for name, check in CHECKS.items():
        try:
            outcomes[name] = check(strategy)
        except Exception as error:  # noqa: BLE001 -- a user's function may raise anything
            outcomes[name] = f"it raised {type(error).__name__}: {error}"
    return outcomes


def require_checks(strategy: Strategy) -> list[str]:
    """The names of the checks, all of which the strategy passes; else a DataError tells them."""
    outcomes = check_strategy(strategy)
    failed = [f"{name}: {wrong}" for name, wrong in outcomes.items() if wrong]
    if failed:
        wrong = "; ".join(failed)
        raise DataError(f"{len(failed)} of {len(outcomes)} checks failed: {wrong}")
    return list(outcomes)


def random_candidates(count: int, seed: int = 0, classes: int = 3) -> Candidates:
    """Candidates of every kind about `count` castings, beside seven that are labelled."""
    generator = _seeded(seed)
    labelled, side = 7, 8

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def grey(castings: int) -> Tensor:
        pixels = torch.rand(castings, 1, side, side, generator=generator)
        return (255 * pixels).to(torch.uint8)

    return Candidates(
        count=count,
        probs_N_K_C=(2 * normal(count, 5, classes)).softmax(dim=-1),
        deterministic_N_C=normal(count, classes).softmax(dim=-1),
        embeddings_N_F=torch.rand(count, 6, generator=generator),
        labelled_embeddings_M_F=torch.rand(labelled, 6, generator=generator),
        labelled_classes_M=torch.arange(labelled) % classes,
        parts_N=[f"part-{i}" for i in range(count)],
        images=grey(count),
        labelled_images=grey(labelled),
    )


def only_what_is_needed(candidates: Candidates, strategy: Strategy) -> Candidates:
    """The candidates as a job fills them in for this strategy."""
    needs = {"count", *needs_of(strategy)}
    if "images" in needs:
        needs.add("labelled_images")
    return Candidates(**{name: getattr(candidates, name) for name in needs})


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _indices(strategy: Strategy, candidates: Candidates, size: int, seed: int = 0) -> list[int]:
    needed = only_what_is_needed(candidates, strategy)
    return [int(i) for i in strategy(needed, size, _seeded(seed))]


def _batch(
    strategy: Strategy, candidates: Candidates, parts_N: Sequence[str], size: int
) -> list[int]:
    needed = only_what_is_needed(candidates, strategy)
    return choose_batch(strategy, needed, parts_N, size, _seeded())


def _draws(strategy: Strategy, candidates: Candidates, size: int) -> bool:
    generator = _seeded()
    strategy(only_what_is_needed(candidates, strategy), size, generator)
    return not torch.equal(_seeded().get_state(), generator.get_state())


def _as_many_as_asked_for(strategy: Strategy) -> str:
    for count, size in [(1, 1), (9, 1), (9, 4), (9, 9), (30, 10), (30, 30)]:
        chosen = _indices(strategy, random_candidates(count, seed=count), size)
        if len(chosen) != size or len(set(chosen)) != size:
            return f"asked for {size} of {count} castings, it returned {chosen}"
        if not set(chosen) <= set(range(count)):
            return f"asked for {size} of {count} castings, it returned indices beyond: {chosen}"
    return ""


def _same_seed_same_batch(strategy: Strategy) -> str:
    first, second = (_indices(strategy, random_candidates(30), 10, seed=3) for _ in range(2))
    return "" if first == second else f"with one seed it chose {first}, then {second}"


def _no_other_generator(strategy: Strategy) -> str:
    before = torch.get_rng_state()
    _indices(strategy, random_candidates(30), 10)
    return "" if torch.equal(before, torch.get_rng_state()) else "it drew from torch's global one"


def _seed_matters_only_by_draws(strategy: Strategy) -> str:
    first, second = (_indices(strategy, random_candidates(30), 10, seed=seed) for seed in (0, 1))
    if first != second and not _draws(strategy, random_candidates(30), 10):
        return f"it drew nothing from the generator, yet chose {first}, then {second}"
    return ""


def _writes_into_nothing(strategy: Strategy) -> str:
    candidates, before = random_candidates(12), random_candidates(12)
    choose_batch(strategy, candidates, list("aabbccddeeff"), 8, _seeded())
    for name in sorted({*KNOWABLE, "labelled_images"} - {"parts_N"}):
        if not torch.equal(getattr(candidates, name), getattr(before, name)):
            return f"it wrote into {name}"
    return "" if candidates.parts_N == before.parts_N else "it wrote into parts_N"


def _reads_only_what_it_needs(strategy: Strategy) -> str:
    full = [int(i) for i in strategy(random_candidates(12), 5, _seeded())]
    spare = _indices(strategy, random_candidates(12), 5)
    return "" if full == spare else f"knowing all it chose {full}, knowing its needs {spare}"


def _says_what_is_missing(strategy: Strategy) -> str:
    if not needs_of(strategy):
        return ""
    try:
        strategy(Candidates(count=3), 1, _seeded())
    except DataError:
        return ""
    except Exception as error:  # noqa: BLE001 -- a user's function may raise anything
        return f"knowing nothing it raised {type(error).__name__}, not a DataError: {error}"
    return "knowing nothing it chose all the same"


def _refuses_nan(strategy: Strategy) -> str:
    for name in needs_of(strategy):
        tensor = getattr(random_candidates(6), name)
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            continue
        broken = tensor.clone()
        broken[2].view(-1)[0] = torch.nan
        try:
            candidates = replace(random_candidates(6), **{name: broken})  # type: ignore[arg-type]
            chosen = _batch(strategy, candidates, list("abcdef"), 2)
        except (DataError, ValueError):
            continue
        return f"with a NaN in {name} it chose {chosen}"
    return ""


def _order_of_finding_is_nothing(strategy: Strategy) -> str:
    """Castings come in order of id; the numbers are those of another order and chunking."""
    candidates, parts = random_candidates(14), [f"part-{i % 5}" for i in range(14)]
    noise = 1e-11 * torch.rand(14, 1, generator=_seeded(1), dtype=torch.float64)
    probs, plain = candidates.posterior(), candidates.deterministic()
    near = replace(
        candidates,
        probs_N_K_C=probs * (1 + noise.unsqueeze(2)),
        deterministic_N_C=plain * (1 + noise),
    )
    first, second = (_batch(strategy, pool, parts, 8) for pool in (candidates, near))
    wrong = f"it chose {first}, and {second} where scores differ by 1e-11"
    return "" if first == second else wrong


def _ties_go_by_id(strategy: Strategy) -> str:
    flat = random_candidates(1).rows([0] * 8)
    if _draws(strategy, flat, 5):
        return ""
    chosen = _indices(strategy, flat, 5)
    return "" if chosen == [0, 1, 2, 3, 4] else f"of eight castings all alike it chose {chosen}"


def _one_casting_per_part(strategy: Strategy) -> str:
    for parts in ("aabbccdd", "aaaaaaab", "aaabbbcc"):
        for size in (3, 9):
            chosen = _batch(strategy, random_candidates(8), list(parts), size)
            begun = [parts[i] for i in chosen[: len(set(parts))]]
            if len(set(chosen)) != min(size, 8) or len(set(begun)) != len(begun):
                return f"of parts {parts} it chose {[parts[i] for i in chosen]}"
    return ""


def _ranks_if_it_says_so(strategy: Strategy) -> str:
    if not getattr(strategy, "ranks", False):
        return ""
    few, many = (_indices(strategy, random_candidates(20), size) for size in (5, 20))
    wrong = f"it says that it ranks, but its 5 best are {few} and its 20 best {many}"
    return "" if few == many[:5] else wrong


def _needs_exist_and_a_sentence_says_what_it_does(strategy: Strategy) -> str:
    needs_of(strategy)
    first = (getattr(strategy, "__doc__", None) or "").strip().partition("\n")[0]
    return "" if first.endswith(".") else f"the first line of its docstring is {first!r}"


CHECKS: Mapping[str, Callable[[Strategy], str]] = {
    "returns as many distinct indices as asked for": _as_many_as_asked_for,
    "chooses the same for the same seed": _same_seed_same_batch,
    "draws from its generator and no other": _no_other_generator,
    "is moved by a seed only through its generator": _seed_matters_only_by_draws,
    "writes into nothing": _writes_into_nothing,
    "reads only what it needs": _reads_only_what_it_needs,
    "says so when what it needs is missing": _says_what_is_missing,
    "refuses what is not a number": _refuses_nan,
    "chooses the same whatever the order of finding": _order_of_finding_is_nothing,
    "breaks ties by casting id": _ties_go_by_id,
    "takes one casting per part while parts remain": _one_casting_per_part,
    "ranks if it says so": _ranks_if_it_says_so,
    "has needs that exist and a docstring": _needs_exist_and_a_sentence_says_what_it_does,
}
