"""A small context in memory: a tracker and a service that behave, and castings to try them on."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jobs import progress
from jobs.adapters.ledger import Ledger
from jobs.campaign.ports import Context, Request, Scored
from models.embeddings import EmbeddingStore
from models.errors import ServiceError, UnreadableImage, VersionError, VersionNotFound
from models.images import decode
from models.prediction.predictor import Predictor
from models.registry.version import Version


@dataclass
class FakeRun:
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[tuple[str, int, float]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    data: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    status: str = "RUNNING"
    deleted: bool = False
    parent: str | None = None
    name: str = ""

    def metric(self, key: str) -> dict[int, float]:
        return {step: value for name, step, value in self.points if name == key}


@dataclass
class FakeTracker:
    """MLflow in memory; what it is told twice it keeps once."""

    runs: dict[str, FakeRun] = field(default_factory=dict)
    versions: list[tuple[Version, Predictor]] = field(default_factory=list)
    alias: dict[str, str] = field(default_factory=dict)

    def open_campaign(
        self,
        name: str,
        recorded: str | None,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        kept = recorded if recorded and self.has_run(recorded) else None
        begun = [r for r, run in self.runs.items() if run.tags.get("begun") == tags["begun"]]
        made = filter(self.has_run, begun)
        again = "-again" if recorded or f"run-of-{name}" in self.runs else ""
        run_id = kept or next(made, f"run-of-{name}{again}")
        return self._open(run_id, FakeRun(name=name), params, tags)

    def has_run(self, run_id: str) -> bool:
        return run_id in self.runs and not self.runs[run_id].deleted

    def open_round(
        self, parent: str, name: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> str:
        deleted = self.runs.get(f"{parent}/{name}", FakeRun()).deleted
        run_id = f"{parent}/{name}" + "-again" * deleted
        return self._open(run_id, FakeRun(parent=parent, name=name), params, tags)

    def _open(
        self, run_id: str, new: FakeRun, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> str:
        run = self.runs.setdefault(run_id, new)
        run.params = {k: str(v) for k, v in params.items()} | run.params
        run.tags |= tags
        run.status = "RUNNING"
        return run_id

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int) -> None:
        run = self.runs[run_id]
        known = {(key, at) for key, at, _ in run.points}
        named = {re.sub(r"[^\w\-. :/]", "_", key): value for key, value in metrics.items()}
        run.points += [(k, step, v) for k, v in named.items() if (k, step) not in known]

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        self.runs[run_id].files |= files

    def log_data_set(
        self, run_id: str, source: str, digest: str, counts: Mapping[str, int]
    ) -> None:
        self.runs[run_id].data[Path(source).name, digest[:32]] = dict(counts)

    def close_run(self, run_id: str, *, failed: bool = False) -> None:
        self.runs[run_id].status = "FAILED" if failed else "FINISHED"
        for run in self.runs.values():
            if failed and run.parent == run_id and run.status == "RUNNING":
                run.status = "FAILED"

    def publish(
        self,
        name: str,
        predictor: Predictor,
        golden_N: torch.Tensor,
        run_id: str,
        tags: Mapping[str, str],
    ) -> Version:
        assert len(golden_N) > 0
        ours = [version for version, _ in self.versions if version.name == name]
        latest = [version for version in ours if version.run_id == run_id][-1:]
        if latest and latest[0].tags["labels_sha256"] == tags["labels_sha256"]:
            return replace(latest[0], tags=dict(latest[0].tags))
        version = Version(name, str(len(ours) + 1), run_id, dict(tags))
        self.versions.append((version, predictor))
        return replace(version, tags=dict(tags))

    def current(self, name: str) -> Version | None:
        return self.find(name, self.alias[name]) if name in self.alias else None

    def find(self, name: str, number: str) -> Version:
        version = self._entry(name, number)[0]
        return replace(version, tags=dict(version.tags))

    def load(self, version: Version) -> Predictor:
        return self._entry(version.name, version.number)[1]

    def export(self, version: Version, folder: Path) -> None:
        self._entry(version.name, version.number)
        if folder.exists():
            raise VersionError(f"{folder} exists; remove it or name another folder")
        folder.mkdir(parents=True)

    def promote(self, version: Version) -> None:
        before = self.alias.get(version.name)
        if before != version.number:
            self._tag(version, "previous", before or "none")
        self._tag(version, "was_current", "true")
        self.alias[version.name] = version.number

    def mark_rolled_back(self, version: Version) -> None:
        self._tag(version, "rolled_back", "true")

    def roll_back(self, version: Version) -> None:
        self.alias[version.name] = version.number

    def _tag(self, version: Version, key: str, value: str) -> None:
        tags = self._entry(version.name, version.number)[0].tags
        tags[key] = value  # type: ignore[index] -- ours are dictionaries

    def predictor(self, name: str, number: str) -> Predictor:
        return self._entry(name, number)[1]

    def _entry(self, name: str, number: str) -> tuple[Version, Predictor]:
        for version, predictor in self.versions:
            if (version.name, version.number) == (name, number):
                return version, predictor
        raise VersionNotFound(f"{name} has no version {number}")


@dataclass
class FakeScoringService:
    """The service without HTTP: it computes with the versions that the tracker holds."""

    tracker: FakeTracker
    embeddings: EmbeddingStore
    name: str = "casting-defects"
    requests: list[Request] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)  # bytes of each casting
    refuse: Mapping[str, str] = field(default_factory=dict)
    explained: list[tuple[str, str]] = field(default_factory=list)
    explains: bool = True

    def explain(self, image: tuple[str, bytes], version: str) -> bytes:
        self.explained.append((image[0], version))
        if not self.explains:
            raise ServiceError("the service answers 404: Not Found")
        try:
            decode(image[1], self._predictor(version).preprocessing)
        except UnreadableImage as error:
            raise ServiceError(f"the service answers 400: {error}") from error
        return image[1]  # a picture of the casting, if not of its map

    def score(self, images: Sequence[tuple[str, bytes]], request: Request) -> Scored:
        self.requests.append(request)
        self.sent += [len(data) for _, data in images]
        predictor = self._trained_by(request)
        contents, pixels, refused = [], [], {}
        for position, (casting, data) in enumerate(images):
            if casting in self.refuse:
                refused[position] = self.refuse[casting]
                continue
            try:
                pixels.append(decode(data, predictor.preprocessing))
                contents.append(data)
            except UnreadableImage as error:
                refused[position] = str(error)
        if not contents:
            return Scored([], {}, refused)
        ids = [hashlib.sha256(content).hexdigest() for content in contents]
        pooled_N_P = predictor.pool(torch.stack(pixels))
        self.embeddings.put(predictor.space, ids, pooled_N_P)
        return self._scored(predictor, ids, pooled_N_P, request, refused)

    def score_known(self, castings: Sequence[str], request: Request) -> Scored:
        self.requests.append(request)
        predictor = self._trained_by(request)
        kept = self.embeddings.get(predictor.space, [c for c in castings if c not in self.refuse])
        refused = {i: "not embedded" for i, c in enumerate(castings) if c not in kept}
        if not kept:
            return Scored([], {}, refused)
        ids = [casting for casting in castings if casting in kept]
        pooled_N_P = torch.stack([kept[casting] for casting in ids])
        return self._scored(predictor, ids, pooled_N_P, request, refused)

    @staticmethod
    def _scored(
        predictor: Predictor,
        ids: Sequence[str],
        pooled_N_P: Tensor,
        request: Request,
        refused: Mapping[int, str],
    ) -> Scored:
        features_N_F = predictor.features(pooled_N_P)
        results = predictor.score_embeddings(features_N_F, request.passes, request.seed)
        tensors = {"posterior": results.probs_N_K_C.float(), "embedding": results.embeddings_N_F}
        included = {name: tensors[name] for name in request.include}
        return Scored([dict(a) for a in predictor.answers(ids, results)], included, refused)

    def _trained_by(self, request: Request) -> Predictor:
        predictor = self._predictor(request.version)
        if self.tracker.find(self.name, request.version).run_id != request.run_id:
            raise ServiceError(f"the service has no version {request.version} of {request.run_id}")
        return predictor

    def _predictor(self, version: str) -> Predictor:
        try:
            return self.tracker.predictor(self.name, version)
        except VersionNotFound as error:
            raise ServiceError(f"the service answers 404: {error}") from error


@dataclass
class FakeContext:
    """A context on a ledger file, with everything else in memory."""

    folder: Path
    tracker: FakeTracker = field(default_factory=FakeTracker)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.embeddings = EmbeddingStore(self.folder / "embeddings")
        self.scorer = FakeScoringService(self.tracker, self.embeddings)
        self.ledger = Ledger(f"sqlite:///{self.folder / 'ledger.db'}")

    def open(self) -> Context:
        return Context(
            self.ledger,
            self.tracker,
            lambda _: self.scorer,
            self.embeddings,
            progress.silent,
            self.said.append,
        )


def casting_bytes(kind: str, number: int, size: int = 32) -> bytes:
    """A grey PNG: defects have a bright spot in the middle; every number is another image."""
    pixels = np.random.default_rng([number, len(kind)]).integers(60, 120, (size, size))
    if kind.startswith("def"):
        pixels[size // 4 : size // 2, size // 4 : size // 2] = 240
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_castings(folder: Path, counts: Mapping[str, int], start: int = 0) -> Path:
    """Class folders with that many castings each."""
    for kind, count in counts.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            (folder / kind / f"{number:03d}.png").write_bytes(casting_bytes(kind, number))
    return folder
