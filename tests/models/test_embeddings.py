import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models import embeddings
from models.embeddings import FILE, EmbeddingStore

WIDE = 1000  # numbers of a vector: 4 kB


def vectors(count, seed=0, width=8):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def names(count, start=0):
    return [f"casting-{number}" for number in range(start, start + count)]


def fill(store, space, count, start=0, width=WIDE):
    store.put(space, names(count, start), vectors(count, start, width))


def directly(folder, statement, *values):
    with sqlite3.connect(folder / FILE) as connection:
        found = connection.execute(statement, values).fetchall()
    connection.close()
    return found


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "kept")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_put_is_got_with_the_same_bits_and_nothing_else(store):
    given = vectors(3)
    given[0, :3] = torch.tensor([float("nan"), -0.0, 1e-45])
    store.put("a", names(3), given)
    kept = store.get("a", ["casting-2", "unknown", "casting-0"])
    assert set(kept) == {"casting-0", "casting-2"}
    for name, row in (("casting-0", 0), ("casting-2", 2)):
        assert kept[name].numpy().tobytes() == given[row].numpy().tobytes()
        assert kept[name].dtype == torch.float32


def test_spaces_do_not_mix(store):
    store.put("a", ["x"], vectors(1, 1))
    store.put("b", ["x"], vectors(1, 2))
    assert torch.equal(store.get("a", ["x"])["x"], vectors(1, 1)[0])
    assert torch.equal(store.get("b", ["x"])["x"], vectors(1, 2)[0])
    assert store.get("c", ["x"]) == {}


def test_an_empty_store_knows_nothing_and_makes_its_folder(tmp_path):
    deep = tmp_path / "some" / "folder"
    assert EmbeddingStore(deep).get("a", ["x"]) == {}
    assert (deep / FILE).is_file()


def test_more_castings_than_a_query_takes_are_got_at_once(store):
    count = 2 * embeddings._AT_A_TIME + 7  # noqa: SLF001
    store.put("a", names(count), vectors(count))
    kept = store.get("a", names(count))
    assert torch.equal(torch.stack([kept[name] for name in names(count)]), vectors(count))


def test_what_is_kept_already_stays(store):
    store.put("a", ["x"], vectors(1, 1))
    store.put("a", ["x"], vectors(1, 2))
    assert torch.equal(store.get("a", ["x"])["x"], vectors(1, 1)[0])


def test_rows_that_lie_apart_in_memory_are_kept_as_they_are(store):
    apart = vectors(8).T[::2]
    store.put("a", names(4), apart)
    assert torch.equal(store.get("a", ["casting-3"])["casting-3"], apart[3])


def test_what_is_got_may_be_written_into(store):
    store.put("a", ["x"], vectors(1))
    store.get("a", ["x"])["x"].zero_()
    assert torch.equal(store.get("a", ["x"])["x"], vectors(1)[0])


def test_no_castings_are_no_trouble(store):
    store.put("a", [], vectors(0))
    assert store.get("a", []) == {}


def test_another_store_on_the_same_folder_sees_it(store, folder):
    store.put("a", ["x"], vectors(1))
    assert torch.equal(EmbeddingStore(folder).get("a", ["x"])["x"], vectors(1)[0])


# --- damage -------------------------------------------------------------------------------------


def test_a_row_that_fails_its_checksum_is_forgotten_and_may_be_put_anew(store, folder):
    store.put("a", names(3), vectors(3))
    wrong = vectors(1, 9)[0].numpy().tobytes()
    directly(folder, "update castings set vector = ? where casting = 'casting-1'", wrong)
    assert set(store.get("a", names(3))) == {"casting-0", "casting-2"}
    assert directly(folder, "select count(*) from castings") == [(2,)]
    store.put("a", ["casting-1"], vectors(1, 5))
    assert torch.equal(store.get("a", ["casting-1"])["casting-1"], vectors(1, 5)[0])


@pytest.mark.parametrize("cut", [0, 3, 31])
def test_a_row_that_was_cut_short_is_forgotten(store, folder, cut):
    store.put("a", ["x"], vectors(1))
    directly(folder, "update castings set vector = substr(vector, 1, ?)", cut)
    assert store.get("a", ["x"]) == {}


def test_a_row_of_nothing_is_forgotten(store, folder):
    store.put("a", ["x"], vectors(1))
    directly(folder, "update castings set vector = null")
    assert store.get("a", ["x"]) == {}
    store.put("a", ["x"], vectors(1))
    assert set(store.get("a", ["x"])) == {"x"}


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, bytes(8192), b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_put_aside_and_another_begun(folder, content):
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    store = EmbeddingStore(folder)
    for _ in range(2):
        store.put("a", ["x"], vectors(1))
    assert torch.equal(store.get("a", ["x"])["x"], vectors(1)[0])


def test_a_database_that_is_damaged_is_put_aside_with_its_log_and_another_begun(folder):
    filled = EmbeddingStore(folder)
    fill(filled, "a", 200)
    filled._close()  # noqa: SLF001 -- as a process ends
    content = bytearray((folder / FILE).read_bytes())
    content[4096:] = b"\x17" * (len(content) - 4096)
    (folder / FILE).write_bytes(content)
    (folder / f"{FILE}-wal").write_bytes(b"left by a process that died")
    store = EmbeddingStore(folder)
    for start in (0, 5):
        store.put("a", names(5, start), vectors(5, 1))
        store.get("a", names(200))
    assert torch.equal(store.get("a", ["casting-5"])["casting-5"], vectors(5, 1)[0])
    aside = (folder / FILE).with_suffix(".damaged")
    assert not (folder / f"{FILE}-wal").read_bytes().startswith(b"left")
    assert aside.read_bytes()[4096:8192] == b"\x17" * 4096


def test_a_database_of_another_kind_is_put_aside(folder):
    folder.mkdir()
    directly(folder, "create table castings (id integer, what text)")
    store = EmbeddingStore(folder)
    for _ in range(2):
        store.put("a", ["x"], vectors(1))
    assert set(store.get("a", ["x"])) == {"x"}
    assert (folder / FILE).with_suffix(".damaged").is_file()


# --- places that take nothing -------------------------------------------------------------------


def test_where_no_folder_can_be_made_nothing_is_kept_and_nothing_breaks(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = EmbeddingStore(tmp_path / "file" / "kept")
    store.put("a", ["x"], vectors(1))
    assert store.get("a", ["x"]) == {}


def test_a_file_that_cannot_be_written_is_left_alone_and_nothing_breaks(
    store, folder, monkeypatch
):
    store.put("a", ["x"], vectors(1))
    store._close()  # noqa: SLF001
    connect = sqlite3.connect

    def read_only(file, **options):
        return connect(f"file:{file}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    later = EmbeddingStore(folder)
    later.put("a", ["y"], vectors(1))
    assert later.get("a", ["x", "y"]) == {}
    monkeypatch.undo()
    assert set(later.get("a", ["x", "y"])) == {"x"}


def test_a_store_that_somebody_locks_is_passed_over(folder):
    store = EmbeddingStore(folder, busy_seconds=0.05)
    store.put("a", ["x"], vectors(1))
    with sqlite3.connect(folder / FILE, isolation_level=None) as other:
        other.execute("begin exclusive")
        store.put("a", ["y"], vectors(1))
        other.execute("rollback")
    other.close()
    assert set(store.get("a", ["x", "y"])) == {"x"}
    assert not (folder / FILE).with_suffix(".damaged").exists()


# --- the bound ----------------------------------------------------------------------------------


def test_the_space_that_was_not_used_for_longest_goes_first(folder, monkeypatch):
    clock = iter(range(1000, 10_000, 100))
    monkeypatch.setattr(embeddings.time, "time", lambda: float(next(clock)))
    store = EmbeddingStore(folder, most_bytes=1_000_000)
    for space in ("first", "second"):
        fill(store, space, 80)
    store.get("first", ["casting-0"])  # used again
    fill(store, "third", 80)
    assert store.get("second", names(80)) == {}
    assert len(store.get("first", names(80))) == len(store.get("third", names(80))) == 80


def test_a_lone_space_loses_castings_and_takes_the_new_ones(folder):
    store = EmbeddingStore(folder, most_bytes=1_000_000)
    for start in range(0, 600, 50):
        fill(store, "a", 50, start)
        assert len(store.get("a", names(50, start))) == 50
    assert len(store.get("a", names(600))) < 250


@pytest.mark.parametrize("spaces", [1, 4])
def test_the_file_stays_about_as_large_as_allowed(folder, spaces):
    store = EmbeddingStore(folder, most_bytes=1_000_000)
    for start in range(0, 1200, 100):
        fill(store, f"space {start % spaces}", 100, start)
    store._close()  # noqa: SLF001
    assert (folder / FILE).stat().st_size < 1_300_000


# --- several at once ----------------------------------------------------------------------------

OTHER = """
import sys, torch
from pathlib import Path
from models.embeddings import EmbeddingStore
store, who = EmbeddingStore(Path(sys.argv[1])), sys.argv[2]
for number in range(40):
    store.put("a", [f"{who}-{number}", f"both-{number}"], torch.full((2, 500), float(number)))
    assert len(store.get("a", [f"{who}-{n}" for n in range(number + 1)])) == number + 1
"""


def test_processes_write_side_by_side(folder):
    running = [
        subprocess.Popen([sys.executable, "-c", OTHER, str(folder), who]) for who in ("p", "q")
    ]
    assert [process.wait(120) for process in running] == [0, 0]
    wanted = [f"{who}-{n}" for who in ("p", "q", "both") for n in range(40)]
    kept = EmbeddingStore(folder).get("a", wanted)
    assert len(kept) == 120
    assert all((kept[name] == int(name.split("-")[1])).all() for name in wanted)


def test_a_space_that_another_process_made_room_of_is_begun_again(store, folder):
    store.put("a", ["x"], vectors(1))
    directly(folder, "delete from castings")
    directly(folder, "delete from spaces")
    store.put("a", ["y"], vectors(1))
    assert set(store.get("a", ["x", "y"])) == {"y"}


def test_threads_share_a_store(store):
    def use(number):
        fill(store, "a", 5, 5 * number)
        return len(store.get("a", names(5, 5 * number)))

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(use, range(40))) == {5}
    assert len(store.get("a", names(200))) == 200
