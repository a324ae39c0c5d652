"""What a round learns from its labels: a head on frozen features, or all weights."""

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from jobs.campaign.embed import at_the_start, pooled
from jobs.campaign.seeds import generator_for, seed_for
from jobs.campaign.session import Session
from jobs.datasets.reader import load_pixels
from jobs.options import RunOptions
from jobs.progress import stepping
from models.acquisition.strategy import Strategy, wants_members
from models.network.device import use_threads
from models.network.network import Network
from models.prediction.predictor import Predictor
from models.registry.version_folder import GOLDEN_CASTINGS
from models.training.fit import OnStep, fit
from models.training.head import fit_head
from models.training.recipe import Recipe
from models.training.schedule import steps_for

MEMBERS = 5  # of an ensemble
_FOLDS = 2


@dataclass(frozen=True)
class Learnt:
    """A round's predictor, castings by which a version proves itself, and how it came about."""

    predictor: Predictor
    golden_N: Tensor
    metrics: dict[str, float]


@dataclass(frozen=True)
class Lesson:
    """What is learnt from: M labelled castings as the start sees them."""

    begun: Predictor  # its head is 0
    pooled_M_P: Tensor
    pixels_M: Callable[[], Tensor]  # decoded only where all weights are trained
    targets_M: Tensor
    parts_M: Sequence[str]

    def rows(self, chosen: Tensor) -> "Lesson":
        """Some of the castings, in that order."""
        return replace(
            self,
            pooled_M_P=self.pooled_M_P[chosen],
            pixels_M=lambda: self.pixels_M()[chosen],
            targets_M=self.targets_M[chosen],
            parts_M=[self.parts_M[int(i)] for i in chosen],
        )


def learn(session: Session, classes: tuple[str, ...], good: str | None) -> Learnt:
    """Learn from everything that the campaign trains on, as `--train` says."""
    campaign, number = session.campaign, len(session.state.trained)
    lesson = lesson_of(session, classes, good)
    train, metrics = campaign.options.train, dict[str, float]()
    if train == "auto":
        train, metrics = _decide(session, lesson)
    if train == "head":
        network = headed(session, lesson)
        loss = _log_loss(lesson, network)
    else:
        begun = with_head(lesson)
        pixels_M = lesson.pixels_M()

        def fine_tune(purpose: str) -> tuple[Network, float]:
            with stepping(session.context.progress, f"round {number}: {purpose}") as on_step:
                return fit(
                    pixels_M,
                    lesson.targets_M,
                    begun,
                    lesson.begun.preprocessing,
                    recipe=recipe_for(campaign.options),
                    seed=seed_for(campaign.options.seed, number, purpose),
                    on_step=on_step,
                )

        purposes = _purposes(campaign.strategy)
        networks, losses = zip(*_side_by_side(fine_tune, purposes), strict=True)
        network, loss = _together(networks), sum(losses) / len(losses)
    castings = [casting for casting, _ in session.castings_to_train_on()][:GOLDEN_CASTINGS]
    golden_N = load_pixels(campaign.data, castings, lesson.begun.preprocessing)
    metrics |= {"train/loss": loss, "train/all_weights": float(train == "all")}
    return Learnt(replace(lesson.begun, network=network), golden_N, metrics)


def lesson_of(session: Session, classes: tuple[str, ...], good: str | None) -> Lesson:
    """The labelled castings that the next training learns from."""
    campaign = session.campaign
    labelled = session.castings_to_train_on()
    castings = [casting for casting, _ in labelled]
    begun = at_the_start(session, classes, good)
    return Lesson(
        begun,
        pooled(session.context, campaign.data, begun, castings),
        lambda: load_pixels(campaign.data, castings, begun.preprocessing),
        torch.tensor([classes.index(label) for _, label in labelled]),
        [casting.part_key for casting in castings],
    )


def headed(session: Session, lesson: Lesson) -> Network:
    """The start's network with a head, or an ensemble's heads, fitted to the lesson."""
    purposes = _purposes(session.campaign.strategy)
    return _together([with_head(resampled(session, lesson, purpose)) for purpose in purposes])


def _together(networks: Sequence[Network]) -> Network:
    return networks[0] if len(networks) == 1 else Network.of_members(networks)


def with_head(lesson: Lesson) -> Network:
    """The start's network with a head fitted to the lesson; they share everything else."""
    begun = lesson.begun.network
    features_M_F = begun.features(lesson.pooled_M_P)
    weight_C_F, bias_C = fit_head(
        features_M_F, lesson.targets_M, begun.spec.classes, lesson.begun.good
    )
    return begun.with_head(weight_C_F, bias_C)


def resampled(session: Session, lesson: Lesson, purpose: str) -> Lesson:
    """The lesson of a member: parts drawn with replacement; the first has the lesson as it is."""
    if purpose == "train":
        return lesson
    number = len(session.state.trained)
    generator = generator_for(session.campaign.options.seed, number, purpose)
    names = sorted(set(lesson.parts_M))
    drawn = torch.randint(len(names), (len(names),), generator=generator).tolist()
    rows_of: dict[str, list[int]] = {}
    for row, part in enumerate(lesson.parts_M):
        rows_of.setdefault(part, []).append(row)
    return lesson.rows(torch.tensor([row for i in drawn for row in rows_of[names[i]]]))


def _decide(session: Session, lesson: Lesson) -> tuple[str, dict[str, float]]:
    """`head` or `all`, said and logged with what speaks for it."""
    number, options = len(session.state.trained), session.campaign.options
    seeds = [seed_for(options.seed, number, f"fold-{fold}") for fold in range(_FOLDS)]

    def watch() -> AbstractContextManager[OnStep]:
        return stepping(session.context.progress, f"round {number}: deciding")

    losses = held_out_losses(lesson, recipe_for(options), seeds, watch)
    if not losses:
        return "head", {}
    chosen = min(losses, key=lambda way: losses[way])  # a head where both are as good
    session.context.say(
        f"round {number}: by parts not shown, log loss {losses['head']:.3f} with a head, "
        f"{losses['all']:.3f} with all weights trained: {chosen}"
    )
    return chosen, {f"train/held_out_log_loss_{name}": loss for name, loss in losses.items()}


def held_out_losses(
    lesson: Lesson,
    recipe: Recipe,
    seeds: Sequence[int],
    watch: Callable[[], AbstractContextManager[OnStep | None]] = nullcontext,
) -> dict[str, float]:
    """Log loss of labelled parts that were not shown, by a `head` and by `all` weights, in nats.

    Two halves of the labels, parts kept whole, each judged by what the other one taught, in half
    the steps each: so it costs no more than one training of all weights. Empty where one half is.
    """
    fold_M = torch.tensor([_fold(part) for part in lesson.parts_M])
    if len(fold_M.unique()) < _FOLDS:
        return {}
    steps = recipe.steps or steps_for(len(fold_M))
    recipe = replace(recipe, steps=max(1, steps // _FOLDS))
    losses = {"head": 0.0, "all": 0.0}
    for fold, seed in enumerate(seeds):
        taught = lesson.rows(torch.nonzero(fold_M != fold).flatten())
        judged = lesson.rows(torch.nonzero(fold_M == fold).flatten())
        share = len(judged.targets_M) / len(fold_M)
        begun, look = with_head(taught), lesson.begun.preprocessing
        losses["head"] += share * _log_loss(judged, begun)
        with watch() as on_step:
            network, _ = fit(
                taught.pixels_M(), taught.targets_M, begun, look,
                recipe=recipe, seed=seed, on_step=on_step,
            )  # fmt: skip
        predictor = replace(lesson.begun, network=network)
        seen = replace(judged, pooled_M_P=predictor.pool(judged.pixels_M()))
        losses["all"] += share * _log_loss(seen, network)
    return losses


def recipe_for(options: RunOptions) -> Recipe:
    """How all weights are trained, as `--steps` and `--augment` say."""
    return Recipe(
        steps=options.steps,
        turned=options.augment in {"auto", "rotate"},
        mirrored=options.augment in {"auto", "mirror"},
    )


def _fold(part: str) -> int:
    return hashlib.sha256(f"fold:{part}".encode()).digest()[0] % _FOLDS


def _log_loss(lesson: Lesson, network: Network) -> float:
    """Mean negative log probability of the labels, in nats."""
    predictor = replace(lesson.begun, network=network)
    probs_M_C = predictor.deterministic(predictor.features(lesson.pooled_M_P))
    told_M = probs_M_C.gather(1, lesson.targets_M.unsqueeze(1)).clamp(min=math.exp(-20))
    return float(-told_M.log().mean())


def _side_by_side(
    train: Callable[[str], tuple[Network, float]], purposes: Sequence[str]
) -> list[tuple[Network, float]]:
    """What was trained for each purpose; members of an ensemble a core each, of one thread."""
    if len(purposes) == 1:
        return [train(purposes[0])]
    with ThreadPoolExecutor(torch.get_num_threads(), "", use_threads, (1,)) as pool:
        return list(pool.map(train, purposes))


def _purposes(strategy: Strategy) -> list[str]:
    """What each network of a round is trained for; the first draws as a lone one does."""
    members = MEMBERS if wants_members(strategy) else 1
    return ["train", *(f"train-{member}" for member in range(1, members))]
