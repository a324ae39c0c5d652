"""The ledger: what was asked, answered and trained, append-only, in SQL.

A campaign's state is derived from these rows and held nowhere else. Every write is one
transaction and idempotent: writing the same again changes nothing.
"""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from jobs import tables
from models.castings import PartSide

Use = Literal["train", "audit"]
Label = tuple[str, str, str]  # casting, label, annotator
ORACLE = "oracle"


@dataclass(frozen=True)
class CampaignRow:
    """A campaign as it was begun."""

    name: str
    options: Mapping[str, Any]
    rounds: int
    channels: int
    run_id: str


@dataclass(frozen=True)
class Asked:
    """A casting that a campaign asked for, to be labelled for training `round`."""

    round: int
    rank: int
    casting: str
    use: Use


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    round: int
    run_id: str
    version: str
    labels_total: int
    metrics: Mapping[str, float]


class Ledger:
    """The ledger at an SQLAlchemy URL; tables are made where they are missing."""

    def __init__(self, url: str) -> None:
        patience = {"timeout": 60} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=patience)
        try:
            tables.META.create_all(self._engine)
        except sa.exc.OperationalError:  # another job was making them just now
            tables.META.create_all(self._engine)

    def close(self) -> None:
        """Give up the connections."""
        self._engine.dispose()

    # campaigns

    def begin(self, row: CampaignRow) -> None:
        """Record a new campaign and its length."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.campaigns.insert().values(
                    name=row.name,
                    options=json.dumps(dict(row.options), sort_keys=True),
                    channels=row.channels,
                    run_id=row.run_id,
                    at=_now(),
                )
            )
            connection.execute(
                tables.lengths.insert().values(campaign=row.name, rounds=row.rounds, at=_now())
            )

    def lengthen(self, name: str, rounds: int) -> None:
        """Record how many rounds the campaign shall have from now on."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.lengths.insert().values(campaign=name, rounds=rounds, at=_now())
            )

    def campaign(self, name: str) -> CampaignRow | None:
        """A campaign by name."""
        return next((row for row in self.campaigns() if row.name == name), None)

    def campaigns(self) -> list[CampaignRow]:
        """All campaigns, oldest first."""
        with self._engine.connect() as connection:
            lengths = dict(
                connection.execute(
                    sa.select(tables.lengths.c.campaign, tables.lengths.c.rounds).order_by(
                        tables.lengths.c.id
                    )
                )
                .tuples()
                .all()
            )
            rows = connection.execute(
                sa.select(tables.campaigns).order_by(tables.campaigns.c.at)
            ).mappings()
            return [
                CampaignRow(
                    name=row["name"],
                    options=json.loads(row["options"]),
                    rounds=lengths[row["name"]],
                    channels=row["channels"],
                    run_id=row["run_id"],
                )
                for row in rows
            ]

    # castings and parts

    def stock(self) -> dict[str, str | None]:
        """Every casting ever read, with the reason why it is unreadable or None."""
        with self._engine.connect() as connection:
            query = sa.select(tables.castings.c.casting, tables.castings.c.unreadable).order_by(
                tables.castings.c.id
            )
            return dict(connection.execute(query).tuples().all())

    def record_stock(self, castings: Mapping[str, str | None]) -> None:
        """Record castings and why they are unreadable; the latest word counts."""
        known = self.stock()
        rows = [
            {"casting": c, "unreadable": r}
            for c, r in castings.items()
            if c not in known or known[c] != r
        ]
        self._insert(tables.castings, rows)

    def parts(self, data: str, split_seed: int) -> dict[str, PartSide]:
        """The side of every part of a data set that was placed before, by part."""
        query = sa.select(tables.parts.c.part, tables.parts.c.stratum, tables.parts.c.side).where(
            tables.parts.c.data == data, tables.parts.c.split_seed == split_seed
        )
        with self._engine.connect() as connection:
            return {row.part: PartSide(*row) for row in connection.execute(query)}

    def record_parts(self, data: str, split_seed: int, parts: Iterable[PartSide]) -> None:
        """Record the side of parts; those known already stay where they are."""
        rows = [
            {
                "data": data,
                "split_seed": split_seed,
                "part": p.part,
                "stratum": p.stratum,
                "side": p.side,
            }
            for p in parts
        ]
        try:
            self._insert_new_parts(data, split_seed, rows)
        except sa.exc.IntegrityError:  # another job was faster with some of them
            self._insert_new_parts(data, split_seed, rows)

    def _insert_new_parts(
        self, data: str, split_seed: int, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        known = self.parts(data, split_seed)
        self._insert(tables.parts, [row for row in rows if row["part"] not in known])

    # batches and labels

    def ask(self, campaign: str, number: int, castings: Sequence[tuple[str, Use]]) -> None:
        """Record the batch to be labelled for training `number`, in order, once."""
        if any(asked.round == number for asked in self.asked(campaign)):
            return
        rows = [
            {"campaign": campaign, "round": number, "rank": rank, "casting": casting, "use": use}
            for rank, (casting, use) in enumerate(castings)
        ]
        self._insert(tables.batches, rows)

    def asked(self, campaign: str) -> list[Asked]:
        """Everything the campaign has asked for, in order."""
        query = (
            sa.select(
                tables.batches.c.round,
                tables.batches.c.rank,
                tables.batches.c.casting,
                tables.batches.c.use,
            )
            .where(tables.batches.c.campaign == campaign)
            .order_by(tables.batches.c.round, tables.batches.c.rank)
        )
        with self._engine.connect() as connection:
            return [Asked(*row) for row in connection.execute(query)]

    def record_labels(self, labels: Iterable[Label]) -> int:
        """Record who calls castings what, in order and at once; returns how many are news.

        What an annotator said last about a casting and says again is no news.
        """
        said: dict[str, dict[str, str]] = {}
        at = _now()
        news = []
        for casting, label, annotator in labels:
            known = said.setdefault(annotator, self._labels_by(annotator))
            if known.get(casting) != label:
                known[casting] = label
                news.append({"casting": casting, "label": label, "annotator": annotator, "at": at})
        self._insert(tables.labels, news)
        return len(news)

    def labels(self) -> dict[str, str]:
        """The label of every casting that has one; the latest counts."""
        return self._labels_by(None)

    def _labels_by(self, annotator: str | None) -> dict[str, str]:
        query = sa.select(tables.labels.c.casting, tables.labels.c.label).order_by(
            tables.labels.c.id
        )
        if annotator is not None:
            query = query.where(tables.labels.c.annotator == annotator)
        with self._engine.connect() as connection:
            return {row.casting: row.label for row in connection.execute(query)}

    # rounds

    def record_round(self, campaign: str, trained: Trained) -> None:
        """Record a finished training, once."""
        if any(t.round == trained.round for t in self.rounds(campaign)):
            return
        row = {
            "campaign": campaign,
            "round": trained.round,
            "run_id": trained.run_id,
            "version": trained.version,
            "labels_total": trained.labels_total,
            "metrics": json.dumps(dict(trained.metrics), sort_keys=True),
            "at": _now(),
        }
        self._insert(tables.rounds, [row])

    def rounds(self, campaign: str) -> list[Trained]:
        """The finished trainings of a campaign, in order."""
        query = (
            sa.select(
                tables.rounds.c.round,
                tables.rounds.c.run_id,
                tables.rounds.c.version,
                tables.rounds.c.labels_total,
                tables.rounds.c.metrics,
            )
            .where(tables.rounds.c.campaign == campaign)
            .order_by(tables.rounds.c.round)
        )
        with self._engine.connect() as connection:
            return [
                Trained(
                    row.round, row.run_id, row.version, row.labels_total, json.loads(row.metrics)
                )
                for row in connection.execute(query)
            ]

    def _insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with self._engine.begin() as connection:
                connection.execute(table.insert(), list(rows))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
