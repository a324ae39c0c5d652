"""The ledger in SQL, append-only: every write is one transaction and idempotent.

A campaign's state is derived from these rows and held nowhere else.
"""

import datetime
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from jobs.adapters import ledger_tables as tables
from jobs.adapters.migrations import bring_up_to_date
from jobs.campaign.ports import Asked, CampaignRow, Label, Said, Trained, Use
from jobs.datasets.ports import Seen
from jobs.datasets.split import PartSide

_BITS = "bits"
_CAMPAIGNS = (
    sa.select(tables.campaigns, tables.runs.c.run_id, tables.label_sets.c.label_set)
    .outerjoin(tables.runs, tables.runs.c.campaign == tables.campaigns.c.name)
    .outerjoin(tables.label_sets, tables.label_sets.c.campaign == tables.campaigns.c.name)
    .order_by(tables.campaigns.c.at)
)
_LENGTHS = sa.select(tables.lengths).order_by(tables.lengths.c.id)
_CLASSES = sa.select(tables.classes).order_by(tables.classes.c.id)


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
        at, options = _now(), json.dumps({**row.options, _BITS: row.bits}, sort_keys=True)
        campaign = {"name": row.name, "options": options, "channels": row.channels, "at": at}
        length = {"campaign": row.name, "rounds": row.rounds, "at": at}
        label_set = {"campaign": row.name, "label_set": row.label_set}
        with self.engine.begin() as connection:
            connection.execute(tables.campaigns.insert(), campaign)
            connection.execute(tables.label_sets.insert(), label_set)
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

    def widen(self, name: str, classes: str) -> None:
        self._insert(tables.classes, [{"campaign": name, "classes": classes, "at": _now()}])

    def campaign(self, name: str) -> CampaignRow | None:
        return next((row for row in self.campaigns() if row.name == name), None)

    def campaigns(self) -> list[CampaignRow]:
        rows = self._rows(_CAMPAIGNS)
        # read last: whatever campaign was seen, its length was written with it
        lengths = {row.campaign: row.rounds for row in self._rows(_LENGTHS)}
        grown = {row.campaign: {"classes": row.classes} for row in self._rows(_CLASSES)}
        return [_campaign_row(row, lengths[row.name], grown.get(row.name, {})) for row in rows]

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
        rows = self._rows(query)
        judges = self._rows(sa.select(tables.judges).order_by(tables.judges.c.id))
        by = {row.casting: row.judge for row in judges}
        return {
            r.casting: Seen(r.path, r.unreadable, by.get(r.casting) if r.unreadable else None)
            for r in rows
        }

    def record_seen(self, data: str, castings: Mapping[str, Seen]) -> None:
        known, first = self.seen(data), self.known_as(data)
        news = {casting: seen for casting, seen in castings.items() if known.get(casting) != seen}
        rows = [
            {"data": first, "casting": casting, "path": seen.path, "unreadable": seen.unreadable}
            for casting, seen in news.items()
        ]
        judges = [{"casting": c, "judge": s.judge} for c, s in news.items() if s.judge]
        with self.engine.begin() as connection:
            for table, new in ((tables.castings, rows), (tables.judges, judges)):
                if new:
                    connection.execute(table.insert(), new)

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

    def ask(
        self,
        campaign: str,
        number: int,
        castings: Sequence[tuple[str, Use]],
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        if any(asked.round == number for asked in self.asked(campaign)):
            return
        batch, why = {"campaign": campaign, "round": number}, reasons or {}
        rows = [
            batch | {"rank": rank, "casting": casting, "use": use, "reason": why.get(casting)}
            for rank, (casting, use) in enumerate(castings)
        ]
        self._insert(tables.batches, rows)

    def asked(self, campaign: str) -> list[Asked]:
        table = tables.batches
        query = sa.select(table).where(table.c.campaign == campaign)
        rows = self._rows(query.order_by(table.c.round, table.c.rank))
        return [Asked(r.round, r.rank, r.casting, r.use, r.reason or "") for r in rows]

    def record_labels(self, label_set: str, labels: Iterable[Label]) -> int:
        last = {(said.casting, said.annotator): said.label for said in self.labels(label_set)}
        at, news = _now(), []
        for casting, label, annotator in labels:
            if last.get((casting, annotator)) != label:
                last[casting, annotator] = label
                row = {"casting": casting, "label": label, "annotator": annotator}
                news.append(row | {"label_set": label_set, "at": at})
        self._insert(tables.labels, news)
        return len(news)

    def labels(self, label_set: str) -> list[Said]:
        table = tables.labels
        query = sa.select(table.c.id, table.c.casting, table.c.label, table.c.annotator)
        query = query.where(table.c.label_set == label_set).order_by(table.c.id)
        return [Said(*row) for row in self._rows(query)]

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
            Trained(
                *(t.round, t.run_id, t.version, t.labels_total, json.loads(t.metrics)),
                last_label=t.last_label,
            )
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


def _campaign_row(row: sa.Row[Any], rounds: int, grown: Mapping[str, str]) -> CampaignRow:
    """The bits of its castings stand among the options: no program reads them as 16 unasked."""
    options = json.loads(row.options) | grown
    most, least = options.pop(_BITS, (16, 0))
    return CampaignRow(
        *(row.name, options, rounds, row.channels, row.run_id),
        bits=(int(most), int(least)),
        begun=row.at,
        label_set=row.label_set or "",
    )
