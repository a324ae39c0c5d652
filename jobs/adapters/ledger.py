"""The ledger in SQL, append-only: every write is one transaction and idempotent.

A campaign's state is derived from these rows and held nowhere else.
"""

import datetime
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from jobs.adapters import ledger_tables as tables
from jobs.adapters.migrations import bring_up_to_date
from jobs.campaign.ports import ORACLE, Asked, CampaignRow, Label, Trained, Use
from jobs.datasets.ports import Seen
from jobs.datasets.split import PartSide

_VARIABLES = 500  # values of one query; every database takes as many
_LABELS = sa.select(tables.labels.c.casting, tables.labels.c.label).order_by(tables.labels.c.id)


class Ledger:
    """The ledger at an SQLAlchemy URL; a new or an older one is brought up to date.

    Raises:
        CampaignError: it is of a newer program.
    """

    def __init__(self, url: str) -> None:
        timeout = {"timeout": 10} if url.startswith("sqlite") else {}
        self.engine = sa.create_engine(url, connect_args=timeout)
        bring_up_to_date(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    # campaigns

    def begin(self, row: CampaignRow) -> CampaignRow:
        known = self.campaign(row.name)
        if known is not None:
            return known
        at, options = _now(), json.dumps(dict(row.options), sort_keys=True)
        campaign = {"name": row.name, "options": options, "channels": row.channels, "at": at}
        length = {"campaign": row.name, "rounds": row.rounds, "at": at}
        with self.engine.begin() as connection:
            connection.execute(tables.campaigns.insert(), campaign)
            connection.execute(tables.lengths.insert(), length)
        return replace(row, run_id=None, begun=at)

    def record_run(self, name: str, run_id: str) -> None:
        row = self.campaign(name)
        if row is not None and row.run_id is None:
            self._insert(tables.runs, [{"campaign": name, "run_id": run_id}])

    def record_start(self, name: str, sha256: str) -> str:
        query = sa.select(tables.starts.c.sha256).where(tables.starts.c.campaign == name)
        rows = self._rows(query)
        if rows:
            return str(rows[0].sha256)
        self._insert(tables.starts, [{"campaign": name, "sha256": sha256}])
        return sha256

    def lengthen(self, name: str, rounds: int) -> None:
        self._insert(tables.lengths, [{"campaign": name, "rounds": rounds, "at": _now()}])

    def campaign(self, name: str) -> CampaignRow | None:
        return next((row for row in self.campaigns() if row.name == name), None)

    def campaigns(self) -> list[CampaignRow]:
        runs = tables.runs.c.campaign == tables.campaigns.c.name
        query = sa.select(tables.campaigns, tables.runs.c.run_id).outerjoin(tables.runs, runs)
        rows = self._rows(query.order_by(tables.campaigns.c.at))
        query = sa.select(tables.lengths).order_by(tables.lengths.c.id)
        # read last: whatever campaign was seen, its length was written with it
        lengths = {row.campaign: row.rounds for row in self._rows(query)}
        return [
            CampaignRow(r.name, json.loads(r.options), lengths[r.name], r.channels, r.run_id, r.at)
            for r in rows
        ]

    # castings and sides

    def record_move(self, data: str, path: str) -> None:
        self._insert(tables.moves, [{"data": self.known_as(data), "path": path, "at": _now()}])

    def known_as(self, path: str) -> str:
        query = sa.select(tables.moves.c.data).where(tables.moves.c.path == path)
        rows = self._rows(query.order_by(tables.moves.c.id.desc()).limit(1))
        return str(rows[0].data) if rows else path

    def located(self, data: str) -> str:
        query = sa.select(tables.moves.c.path).where(tables.moves.c.data == self.known_as(data))
        rows = self._rows(query.order_by(tables.moves.c.id.desc()).limit(1))
        return str(rows[0].path) if rows else data

    def seen(self, data: str | None = None) -> dict[str, Seen]:
        table = tables.castings
        query = sa.select(table.c.casting, table.c.path, table.c.unreadable).order_by(table.c.id)
        if data is not None:
            query = query.where(table.c.data == self.known_as(data))
        return {row.casting: Seen(*row[1:]) for row in self._rows(query)}

    def record_seen(self, data: str, castings: Mapping[str, Seen]) -> None:
        known, first = self.seen(data), self.known_as(data)
        rows = [
            {"data": first, "casting": casting, **seen._asdict()}
            for casting, seen in castings.items()
            if known.get(casting) != seen
        ]
        self._insert(tables.castings, rows)

    def sides(self, data: str, split: str) -> dict[str, PartSide]:
        table = tables.sides
        query = sa.select(table.c.part, table.c.stratum, table.c.side)
        query = query.where(table.c.data == self.known_as(data), table.c.split == split)
        return {row.part: PartSide(*row) for row in self._rows(query)}

    @retry(  # another job may be faster with some of them
        retry=retry_if_exception_type(sa.exc.IntegrityError),
        stop=stop_after_attempt(2),
        reraise=True,
    )
    def record_sides(self, data: str, split: str, parts: Collection[PartSide]) -> None:
        known = self.sides(data, split)
        split_of = {"data": self.known_as(data), "split": split}
        new = [split_of | vars(part) for part in parts if part.part not in known]
        self._insert(tables.sides, new)

    # batches and labels

    def ask(self, campaign: str, number: int, castings: Sequence[tuple[str, Use]]) -> None:
        if any(asked.round == number for asked in self.asked(campaign)):
            return
        rows = [
            {"campaign": campaign, "round": number, "rank": rank, "casting": casting, "use": use}
            for rank, (casting, use) in enumerate(castings)
        ]
        self._insert(tables.batches, rows)

    def asked(self, campaign: str) -> list[Asked]:
        table = tables.batches
        query = sa.select(table.c.round, table.c.rank, table.c.casting, table.c.use)
        query = query.where(table.c.campaign == campaign).order_by(table.c.round, table.c.rank)
        return [Asked(*row) for row in self._rows(query)]

    def record_labels(self, labels: Iterable[Label]) -> int:
        labels, castings_of = list(labels), defaultdict(set)
        for casting, _, annotator in labels:
            castings_of[annotator].add(casting)
        said = {by: self._labels_by(by, sorted(castings)) for by, castings in castings_of.items()}
        at = _now()
        news = []
        for casting, label, annotator in labels:
            if said[annotator].get(casting) != label:
                said[annotator][casting] = label
                news.append({"casting": casting, "label": label, "annotator": annotator, "at": at})
        self._insert(tables.labels, news)
        return len(news)

    def labels(self) -> dict[str, str]:
        return {row.casting: row.label for row in self._rows(_LABELS)}

    def labelled_by_people(self) -> set[str]:
        table = tables.labels
        query = sa.select(table.c.casting, table.c.annotator).order_by(table.c.id)
        latest = {row.casting: row.annotator for row in self._rows(query)}
        return {casting for casting, annotator in latest.items() if annotator != ORACLE}

    def _labels_by(self, annotator: str, castings: Sequence[str]) -> dict[str, str]:
        """What an annotator last called each of these castings that they have labelled."""
        table = tables.labels
        query = _LABELS.where(table.c.annotator == annotator)
        chunks = (castings[i : i + _VARIABLES] for i in range(0, len(castings), _VARIABLES))
        return {
            row.casting: row.label
            for chunk in chunks
            for row in self._rows(query.where(table.c.casting.in_(chunk)))
        }

    # rounds

    def record_round(self, campaign: str, trained: Trained) -> None:
        if any(t.round == trained.round for t in self.rounds(campaign)):
            return
        metrics = json.dumps(dict(trained.metrics), sort_keys=True)
        row = vars(trained) | {"campaign": campaign, "metrics": metrics, "at": _now()}
        self._insert(tables.rounds, [row])

    def rounds(self, campaign: str) -> list[Trained]:
        table = tables.rounds
        query = sa.select(table).where(table.c.campaign == campaign).order_by(table.c.round)
        return [
            Trained(t.round, t.run_id, t.version, t.labels_total, json.loads(t.metrics))
            for t in self._rows(query)
        ]

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def _insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with self.engine.begin() as connection:
                connection.execute(table.insert(), list(rows))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
