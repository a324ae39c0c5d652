"""Ranking a pool: what the scoring service says about every casting that nobody has labelled.

The pool goes to the service in chunks, a few under way at a time, and to one version of the model.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from jobs.campaign.embed import cold_features
from jobs.campaign.ports import Request, Scored, ScoringService, stack
from jobs.campaign.seeds import seed_for
from jobs.campaign.session import Campaign, Session
from jobs.datasets.castings import Casting
from jobs.datasets.ports import Seen
from jobs.datasets.reader import load_pixels
from models.acquisition.candidates import Candidates
from models.acquisition.strategies.vaal import SIDE
from models.acquisition.strategy import Strategy, needs_of
from models.errors import DataError
from models.images import at_model_size

CHUNK = 64  # castings per request
CONCURRENCY = 3  # requests under way: one is made while the service's cores have two
_INCLUDE = {"probs_N_K_C": "posterior", "embeddings_N_F": "embedding"}
_OF_THE_MODEL = {*_INCLUDE, "deterministic_N_C", "labelled_embeddings_M_F"}


@dataclass(frozen=True)
class Ranked:
    """What was learnt about the castings of a pool."""

    castings: Sequence[Casting]  # those that could be read, in order of id
    candidates: Candidates  # what the strategy wants to know about them
    answers: Mapping[str, Mapping[str, object]]  # the service's row by id, empty if not asked
    refused: Mapping[str, str]  # reason by id of those that the service could not read


def asks_the_service(strategy: Strategy) -> bool:
    """Whether a strategy needs anything of the model."""
    return bool(set(needs_of(strategy)) & _OF_THE_MODEL)


def rank_pool(session: Session) -> Ranked:
    """Ask the service about every unlabelled casting what the strategy needs to know.

    A strategy that needs nothing of the model costs no request. Castings that the service cannot
    read are remembered in the ledger and set aside; the next command tries them again, since the
    service may have other limits by then.
    """
    castings, strategy = session.pool(), session.campaign.strategy
    labelled = [casting for casting, _ in session.castings_to_train_on()]
    if not asks_the_service(strategy) or not castings:
        return Ranked(castings, _without_model(session, castings, labelled), {}, {})
    request = _request(session)
    chunks = _score(session, castings, request)
    answers = _by_casting(chunks)
    refused = _set_aside(session, castings, chunks)
    readable = [casting for casting in castings if casting.id in answers]
    labelled_chunks: Sequence[Scored] = []
    if "labelled_embeddings_M_F" in needs_of(strategy):
        labelled_chunks = _score(session, labelled, replace(request, include=("embedding",)))
        answered = _by_casting(labelled_chunks)
        labelled = [casting for casting in labelled if casting.id in answered]
    candidates = _without_model(session, readable, labelled)
    scored = _with_model(candidates, needs_of(strategy), chunks, labelled_chunks)
    return Ranked(readable, scored, answers, refused)


def unlabelled_candidates(
    session: Session, castings: Sequence[Casting], strategy: Strategy
) -> Candidates:
    """What a strategy that starts cold may know about castings: nothing of models and labels."""
    campaign, needs = session.campaign, needs_of(strategy)
    candidates = Candidates(
        count=len(castings),
        labelled_classes_M=torch.empty(0, dtype=torch.int64),
        parts_N=[casting.part_key for casting in castings],
    )
    if "images" in needs:
        look = campaign.small(SIDE)
        images = load_pixels(campaign.data, castings, look)
        candidates = replace(candidates, images=images, labelled_images=images[:0])
    if set(needs) & _OF_THE_MODEL:
        features_N_F = cold_features(session, castings)
        candidates = replace(
            candidates, embeddings_N_F=features_N_F, labelled_embeddings_M_F=features_N_F[:0]
        )
    return candidates


def _request(session: Session) -> Request:
    options, latest = session.campaign.options, session.state.trained[-1]
    needs = needs_of(session.campaign.strategy)
    return Request(
        version=latest.version,
        run_id=latest.run_id,
        passes=options.passes,
        seed=seed_for(options.seed, latest.round, "passes"),
        include=tuple(_INCLUDE[need] for need in needs if need in _INCLUDE),
    )


def _by_casting(chunks: Sequence[Scored]) -> dict[str, Mapping[str, object]]:
    return {str(answer["casting"]): answer for chunk in chunks for answer in chunk.answers}


def _set_aside(
    session: Session, castings: Sequence[Casting], chunks: Sequence[Scored]
) -> dict[str, str]:
    """Say what has no answer, and remember what the service could not read, with its reason."""
    context, campaign = session.context, session.campaign
    refused = {
        castings[start + position].id: reason
        for start, scored in zip(range(0, len(castings), CHUNK), chunks, strict=True)
        for position, reason in scored.refused.items()
    }
    unreadable = {c: Seen(campaign.casting(c).paths[0], reason) for c, reason in refused.items()}
    context.ledger.record_seen(campaign.options.source, unreadable)
    answered = _by_casting(chunks)
    for casting in castings:
        if casting.id not in answered:
            reason = refused.get(casting.id, "changed or went away")
            context.say(f"set aside {casting.paths[0]}: {reason}")
    return refused


def _score(session: Session, castings: Sequence[Casting], request: Request) -> list[Scored]:
    """The service's answers, a chunk at a time; only the chunks under way are in memory."""
    context, campaign = session.context, session.campaign
    service = context.scoring_service(campaign.options)
    starts = range(0, len(castings), CHUNK)
    with context.progress("ranking", len(castings)) as advance:

        def score(start: int) -> Scored:
            chunk = castings[start : start + CHUNK]
            scored = _score_chunk(service, campaign, chunk, request)
            advance(len(chunk))
            return scored

        with ThreadPoolExecutor(CONCURRENCY) as threads:
            return list(threads.map(score, starts))


def _score_chunk(
    service: ScoringService, campaign: Campaign, chunk: Sequence[Casting], request: Request
) -> Scored:
    """Score by id what the service has embedded, and send the rest."""
    chunk = [casting for casting in chunk if campaign.data.has(casting)]
    known = service.score_known([casting.id for casting in chunk], request)
    sent = _send(service, campaign, [chunk[position] for position in known.refused], request)
    if not known.answers:
        return sent
    if not known.refused:
        return known
    unknown = list(known.refused)
    refused = {unknown[position]: reason for position, reason in sent.refused.items()}
    merged = {str(a["casting"]): (a, known, i) for i, a in enumerate(known.answers)}
    merged |= {str(a["casting"]): (a, sent, i) for i, a in enumerate(sent.answers)}
    rows = [merged[casting.id] for casting in chunk if casting.id in merged]
    tensors = {
        name: torch.stack([scored.tensors[name][i] for _, scored, i in rows])
        for name in known.tensors
    }
    return Scored([answer for answer, _, _ in rows], tensors, refused)


def _send(
    service: ScoringService, campaign: Campaign, chunk: Sequence[Casting], request: Request
) -> Scored:
    """Score what is still there; what went away since the data set was read has no answer.

    Large photographs are sent at the model's size, hence answered under another id than their own.
    """
    contents: dict[int, bytes] = {}
    for position, casting in enumerate(chunk):
        with suppress(DataError):
            photograph = campaign.data.read(casting)
            contents[position] = at_model_size(photograph, campaign.preprocessing)
    positions = list(contents)
    if not positions:
        return Scored([], {}, {})
    scored = service.score([(chunk[p].id, contents[p]) for p in positions], request)
    refused = {positions[i]: reason for i, reason in scored.refused.items()}
    readable = [chunk[p].id for p in positions if p not in refused]
    pairs = zip(scored.answers, readable, strict=True)
    answers = [answer | {"casting": casting} for answer, casting in pairs]
    return Scored(answers, scored.tensors, refused)


def _without_model(
    session: Session, castings: Sequence[Casting], labelled: Sequence[Casting]
) -> Candidates:
    """What is known without the model: classes, parts, and the castings themselves."""
    campaign, labels = session.campaign, session.state.labels
    needs = needs_of(campaign.strategy)
    classes, _ = campaign.classes(labels.values())
    codes = [classes.index(labels[casting.id]) for casting in labelled]
    look = campaign.small(SIDE)
    images = "images" in needs
    return Candidates(
        count=len(castings),
        labelled_classes_M=torch.tensor(codes, dtype=torch.int64),
        parts_N=[casting.part_key for casting in castings] if "parts_N" in needs else None,
        images=load_pixels(campaign.data, castings, look) if images else None,
        labelled_images=load_pixels(campaign.data, labelled, look) if images else None,
    )


def _with_model(
    candidates: Candidates,
    needs: Sequence[str],
    chunks: Sequence[Scored],
    labelled_chunks: Sequence[Scored],
) -> Candidates:
    """The candidates with what the service said about the pool and the labelled castings."""
    tensors = [chunk.tensors for chunk in chunks]
    rows = [answer["probabilities"] for chunk in chunks for answer in chunk.answers]
    probs = [list(row.values()) for row in rows]
    return replace(
        candidates,
        probs_N_K_C=stack(tensors, "posterior") if "probs_N_K_C" in needs else None,
        deterministic_N_C=torch.tensor(probs, dtype=torch.float64)
        if "deterministic_N_C" in needs
        else None,
        embeddings_N_F=stack(tensors, "embedding") if "embeddings_N_F" in needs else None,
        labelled_embeddings_M_F=stack([c.tensors for c in labelled_chunks], "embedding"),
    )
