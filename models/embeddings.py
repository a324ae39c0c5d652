"""Pooled stages of castings, kept on disk: what a backbone has seen it need not see again.

A SQLite file in a folder, shared by processes: jobs, the service, comparisons. A row is known by
its space (`models.prediction.predictor.Predictor.space`) and the casting's id, and carries a
checksum; a row that fails it is forgotten, a file that is none is put aside, and what is missing
is computed again. Of what exceeds the bound the spaces go first that were not used for longest.
"""

import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

FILE = "embeddings.db"
MOST_BYTES = 4 * 2**30
_AT_A_TIME = 500  # castings per query
_USED_AGAIN = 60.0  # seconds within which a space is not marked as used once more
_SCHEMA = """
create table if not exists spaces (id integer primary key, name text unique, used real);
create table if not exists castings (
    space integer, casting text, checksum integer, vector blob, primary key (space, casting)
) without rowid;
"""
_COLUMNS = ["space", "casting", "checksum", "vector"]
_T = TypeVar("_T")


class EmbeddingStore:
    """Vectors by space and casting; every method may be called from any thread.

    Args:
        folder: made where it does not exist.
        most_bytes: that the file may take, roughly.
        busy_seconds: how long another process is waited for that writes.
    """

    def __init__(
        self, folder: Path, most_bytes: int = MOST_BYTES, busy_seconds: float = 60.0
    ) -> None:
        self._file = folder / FILE
        self._most_bytes = most_bytes
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._marked: dict[str, float] = {}

    def get(self, space: str, castings: Sequence[str]) -> dict[str, Tensor]:
        """The vectors, float32 `[P]`, of those castings that are kept."""
        return self._safely(lambda c: self._get(c, space, castings)) or {}

    def put(self, space: str, castings: Sequence[str], vectors_N_P: Tensor) -> None:
        """Keep the vectors of castings; what is kept already stays."""
        rows = [
            (casting, zlib.crc32(content), content)
            for casting, vector in zip(castings, vectors_N_P.float(), strict=True)
            for content in [vector.contiguous().numpy().tobytes()]
        ]
        self._safely(lambda c: self._put(c, space, rows))

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        with self._lock:
            self._close()

    def _get(
        self, connection: sqlite3.Connection, space: str, castings: Sequence[str]
    ) -> dict[str, Tensor]:
        number = self._number(connection, space)
        kept, damaged = dict[str, Tensor](), list[str]()
        for start in range(0, len(castings), _AT_A_TIME):
            chunk = castings[start : start + _AT_A_TIME]
            places = ",".join("?" * len(chunk))
            query = f"select casting, checksum, vector from castings where space = ? and casting in ({places})"  # noqa: S608, E501 -- places only
            for casting, checksum, content in connection.execute(query, (number, *chunk)):
                if isinstance(content, bytes) and zlib.crc32(content) == checksum:
                    vector = np.frombuffer(content, dtype=np.float32)
                    kept[casting] = torch.from_numpy(vector.copy())
                else:
                    damaged.append(casting)
        forget = "delete from castings where space = ? and casting = ?"
        connection.executemany(forget, [(number, casting) for casting in damaged])
        return kept

    def _put(
        self, connection: sqlite3.Connection, space: str, rows: Sequence[tuple[str, int, bytes]]
    ) -> None:
        number = self._number(connection, space)
        self._make_room(connection, number, sum(len(content) for *_, content in rows))
        insert = "insert or ignore into castings values (?, ?, ?, ?)"
        connection.executemany(insert, [(number, *row) for row in rows])

    def _number(self, connection: sqlite3.Connection, space: str) -> int:
        now, marked = time.time(), self._marked.get(space)
        if marked is None or now - marked > _USED_AGAIN:
            mark = "insert into spaces (name, used) values (?, ?) on conflict (name) do update set used = excluded.used"  # noqa: E501
            connection.execute(mark, (space, now))
            self._marked[space] = now
        found = connection.execute("select id from spaces where name = ?", (space,)).fetchone()
        if found is None:  # another process made room
            self._marked.pop(space)
            return self._number(connection, space)
        return int(found[0])

    def _make_room(self, connection: sqlite3.Connection, number: int, wanted: int) -> None:
        """Forget spaces, the least recently used first; then castings of this one."""
        while self._bytes(connection) + wanted > self._most_bytes:
            oldest = connection.execute(
                "select id from spaces order by id = ?, used limit 1", (number,)
            ).fetchone()[0]
            if oldest == number:
                some = "delete from castings where space = ? and casting in (select casting from castings where space = ? limit 1000)"  # noqa: E501
                if not connection.execute(some, (number, number)).rowcount:
                    return
            else:
                connection.execute("delete from castings where space = ?", (oldest,))
                connection.execute("delete from spaces where id = ?", (oldest,))

    @staticmethod
    def _bytes(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            int(connection.execute(f"pragma {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _safely(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Do it in a transaction; a file that is no database of ours is put aside once."""
        with self._lock:
            try:
                with self._transaction() as connection:
                    return work(connection)
            except (sqlite3.OperationalError, OSError):
                self._close()
                return None  # busy, read-only, or the disk is full: it is computed again
            except sqlite3.DatabaseError:
                self._close()
                self._put_aside()
                return None

    def _put_aside(self) -> None:
        """Its log goes too, or it would be taken for that of the file which comes after."""
        with suppress(OSError):
            self._file.replace(self._file.with_suffix(".damaged"))
            for suffix in ("-wal", "-shm"):
                self._file.with_name(FILE + suffix).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._marked.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._file, timeout=self._busy_seconds, check_same_thread=False
            )
            self._connection.executescript(
                f"pragma journal_mode = wal; pragma synchronous = normal; {_SCHEMA}"
            )
            columns = self._connection.execute("pragma table_info(castings)").fetchall()
            if [name for _, name, *_ in columns] != _COLUMNS:
                raise sqlite3.DatabaseError("a database of another kind")
        with self._connection:
            yield self._connection
