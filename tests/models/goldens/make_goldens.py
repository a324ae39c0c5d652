"""Write `goldens.json`: what three other libraries say about castings that are made up here.

None of them is a dependency of this project. Install them beside it, not into it, and run with the
project's own Python:

    python3.11 -m venv /tmp/goldens
    /tmp/goldens/bin/pip install --no-deps batchbald-redux==2.0.5 baal==2.1.0 \
        scikit-activeml==1.0.1 toma makefun structlog psutil torchmetrics lightning-utilities \
        datasets h5py iteration-utilities
    PYTHONPATH=/tmp/goldens/lib/python3.11/site-packages .venv/bin/python \
        tests/models/goldens/make_goldens.py

What differs from ours, and why:

- baal's BatchBALD (2.1.0) scores a batch by H(y₁…y_b) minus the conditional entropy of the last
  casting alone, not of all: its "information" about 8 passes passes log 8 from the third casting
  on, which no information about 8 passes can. What it leaves out is the same for every candidate,
  so that its picks are right up to sampling: the first three, and which the first six are,
  is what is compared; from one seed to another the fourth and fifth change places. It picks one
  more than it is asked for, and returns them last first.
- baal's EPIG computes in float32: it agrees to 1e-6, not to the last digit.
- scikit-activeml's TypiClust and ProbCover take features as they are; ours are brought to length 1
  first, as in the authors' code. So the features here have length 1.
- scikit-activeml's ProbCover counts a point at a distance of exactly δ as covered, ours does not
  (Yehuda 2022 has open balls), and looks for δ among 0.2, 0.4, …, 2.0. Here it is handed a δ that
  is no distance.
- scikit-activeml's TypiClust chooses at random once each cluster has a label; ours goes on by
  least labels. It has no rule for clusters of under five. Neither happens here.
- scikit-activeml's Badge hands the squared lengths on as the first distances to a centre, as if
  the origin had been drawn; the authors' code and k-means++ have no such centre. So the first pick
  is compared, and what it takes for chances of the second is explained, not copied.
- scikit-activeml breaks ties at random, ours by the lower index. There are none here.
- scikit-activeml's GreedyBALD and BatchBALD take votes of fitted classifiers, not a posterior; its
  `batch_bald` takes the posterior and is what is used.
- scikit-activeml's DropQuery drops the inputs of a classifier; here its passes are those of the
  posterior, and the plain pass is that of the casting before, so that many disagree. It and Clue
  are told the clusters, and return their castings in another order than ours.
- scikit-activeml's MaxHerding has exp(−|x − s|²/F) by default; it is handed the authors' kernel.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from baal.active import heuristics
from batchbald_redux.batchbald import get_bald_batch, get_batchbald_batch
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import (
    Badge,
    Clue,
    CoreSet,
    DropQuery,
    MaxHerding,
    ProbCover,
    TypiClust,
    batch_bald,
)
from sklearn.base import BaseEstimator, ClassifierMixin

DELTA = 0.35
CLASSES = 3
OF_KINDS = slice(11, 41)


def cases():
    """Posterior `[30, 8, 3]`, its mean `[30, 3]`, features of length 1 `[97, 8]` of ten kinds."""
    draw = np.random.default_rng(20240607)
    logits = 2 * draw.normal(size=(30, 1, CLASSES)) + 1.5 * draw.normal(size=(30, 8, CLASSES))
    posterior = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    deterministic = posterior.mean(axis=1)
    kinds = np.repeat(np.arange(10), [16, 13, 11, 9, 8, 7, 6, 5, 12, 10])
    centres = draw.normal(size=(10, 8))
    features = centres[kinds] + 0.12 * draw.normal(size=(len(kinds), 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    shuffled = draw.permutation(len(kinds))
    return posterior, deterministic, features[shuffled], kinds[shuffled]


class Kinds:
    """A clustering that was told the kinds, so that only what is made of them is compared."""

    def __init__(self, n_clusters=8):
        self.n_clusters = n_clusters

    def fit_predict(self, X, y=None):
        return cases()[3]


class CentresOfKinds:
    """The same told by their features, and distances to their weighted means."""

    def __init__(self, n_clusters):
        self.n_clusters = n_clusters

    def fit_transform(self, X, y=None, sample_weight=None):
        _, _, features, kinds = cases()
        of = np.array([kinds[(features == row).all(axis=1)][0] for row in X])
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        centres = np.stack(
            [
                np.average(X[of == kind], axis=0, weights=weights[of == kind])
                for kind in np.unique(of)
            ]
        )
        return np.linalg.norm(X[:, None] - centres, axis=2)


class Known(ClassifierMixin, BaseEstimator):
    """A classifier that says of the castings, in order, what it was told to say."""

    def __init__(self, deterministic=None):
        self.deterministic = deterministic

    def fit(self, X, y):
        self.classes_ = np.arange(CLASSES)
        return self

    def predict_proba(self, X):
        return np.asarray(self.deterministic)[: len(X)]


class Passes(Known):
    """A classifier that classes the castings as one pass after another does."""

    def __init__(self, passes=None):
        self.passes = passes

    def fit(self, X, y):
        self.left = [np.asarray(classes) for classes in self.passes]
        return super().fit(X, y)

    def predict(self, X):
        return self.left.pop(0)


def clusters_of(posterior, deterministic, features, kinds):
    """What DropQuery and Clue choose of thirty castings, one of each kind.

    Of these thirty no two alone are of a kind: from their middle both are as far.
    """
    features, kinds, y = features[OF_KINDS], kinds[OF_KINDS], np.full(30, np.nan)
    plain = np.roll(deterministic, 1, axis=0).argmax(axis=1)
    votes = posterior.argmax(axis=2)
    kept = (votes != plain[:, None]).sum(axis=1) > votes.shape[1] / 2
    passes = SklearnClassifier(Passes([plain, *votes.T]), classes=range(CLASSES))
    passes.fit(features[:3], [0, 1, 2])
    known = SklearnClassifier(Known(deterministic), classes=range(CLASSES))
    known.fit(features[:3], [0, 1, 2])
    dropped = DropQuery(n_dropout_samples=votes.shape[1], cluster_algo=CentresOfKinds)
    sizes = {"dropquery": len(set(kinds[kept])), "clue": len(set(kinds))}
    asked = {
        "dropquery": dropped.query(
            features, y, passes, fit_clf=False, batch_size=sizes["dropquery"]
        ),
        "clue": Clue(cluster_algo=CentresOfKinds).query(
            features, y, known, fit_estimator=False, batch_size=sizes["clue"]
        ),
    }
    return {name: sorted(chosen.tolist()) for name, chosen in asked.items()}


def main():
    posterior, deterministic, features, kinds = cases()
    torch.default_generator.manual_seed(0)  # baal draws from it
    log_probs = torch.from_numpy(posterior).log()
    for_baal = posterior.swapaxes(1, 2)
    joint = get_batchbald_batch(log_probs, 6, 100_000, dtype=torch.double)
    alone = get_bald_batch(log_probs, 6, dtype=torch.double)
    gains = batch_bald(posterior.swapaxes(0, 1), 6, n_MC_samples=100_000, random_state=0)

    labelled = np.array([int(np.flatnonzero(kinds == kind)[0]) for kind in (0, 3, 9)])
    y = np.full(len(features), np.nan)
    y[labelled] = [0, 1, 2]
    cover = ProbCover(deltas=[DELTA], random_state=0)
    covered = cover.query(features, y, batch_size=1, return_utilities=True)
    known = SklearnClassifier(Known(deterministic), classes=range(CLASSES))
    known.fit(features[:3], [0, 1, 2])
    gradients = Badge(random_state=0).query(
        features[:30],
        np.full(30, np.nan),
        known,
        fit_clf=False,
        batch_size=2,
        return_utilities=True,
    )
    goldens = {
        "posterior": posterior.tolist(),
        "deterministic": deterministic.tolist(),
        "features": features.tolist(),
        "labelled": labelled.tolist(),
        "kinds": kinds.tolist(),
        "delta": DELTA,
        "batchbald_redux": {
            "batchbald": joint.indices,
            "joint_information": joint.scores,
            "bald": alone.indices,
        },
        "baal": {
            "bald": heuristics.BALD().compute_score(for_baal).tolist(),
            "entropy": heuristics.Entropy().compute_score(deterministic).tolist(),
            "epig": heuristics.EPIG().compute_score(for_baal, for_baal[:10]).tolist(),
            "batchbald": heuristics.BatchBALD(6, 2000).compute_score(for_baal).tolist(),
        },
        "scikit_activeml": {
            "batchbald": np.nanargmax(gains, axis=1).tolist(),
            "coreset": CoreSet(random_state=0).query(features, y, batch_size=12).tolist(),
            "maxherding": MaxHerding(random_state=0, metric_dict={"gamma": 1})
            .query(features, y, batch_size=12)
            .tolist(),
            **clusters_of(posterior, deterministic, features, kinds),
            "probcover_gains": np.nan_to_num(covered[1][0], nan=-1).astype(int).tolist(),
            "typiclust": TypiClust(random_state=0, cluster_algo=Kinds)
            .query(features, y, batch_size=7)
            .tolist(),
            "badge_first": int(gradients[0][0]),
            "badge_second_chances": np.nan_to_num(gradients[1][1]).tolist(),
        },
    }
    Path(__file__).with_name("goldens.json").write_text(json.dumps(goldens, indent=None) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
