"""A reader's copy follows the log exactly."""

from nanobana.protocol.canvas import CanvasInfo, Change, Job, Layer, Manifest, OpId, Position, TileRef
from nanobana.protocol.geometry import Box
from nanobana.protocol.replica import Replica


def manifest(*tiles: TileRef) -> Manifest:
    return Manifest(
        position=Position(1, 5, OpId("a", 5)),
        canvas=CanvasInfo(id="c", width=512, height=512),
        layers=[Layer(id="low", name="low"), Layer(id="top", name="top")],
        tiles=list(tiles),
        jobs=[],
    )


def change(seq: int, **fields: object) -> Change:
    return Change(seq=seq, epoch=1, op=OpId("a", seq), user="u", kind="paint", time_ms=0, **fields)  # type: ignore[arg-type]


def test_r5_an_entry_that_is_already_in_changes_nothing() -> None:
    replica = Replica()
    replica.load(manifest(TileRef("low", 0, 0, "new")))
    assert not replica.apply(change(5, tiles=[TileRef("low", 0, 0, "old")]))
    assert replica.tiles == {("low", 0, 0): "new"}


def test_c1_an_empty_name_makes_a_tile_transparent_again() -> None:
    replica = Replica()
    replica.load(manifest(TileRef("low", 0, 0, "x"), TileRef("low", 1, 0, "y")))
    assert replica.apply(change(6, tiles=[TileRef("low", 0, 0, "")]))
    assert replica.tiles == {("low", 1, 0): "y"}
    assert replica.position == Position(1, 6, OpId("a", 6))


def test_c11_equal_digests_mean_equal_layers_and_tile_names_in_any_order() -> None:
    one, other = Replica(), Replica()
    one.load(manifest(TileRef("low", 0, 0, "x"), TileRef("low", 1, 0, "y")))
    other.load(manifest(TileRef("low", 1, 0, "y"), TileRef("low", 0, 0, "x")))
    assert one.digest() == other.digest()
    other.apply(change(6, tiles=[TileRef("low", 1, 0, "z")]))
    assert one.digest() != other.digest()


def test_c1_a_deleted_layer_takes_its_tiles_along() -> None:
    replica = Replica()
    replica.load(manifest(TileRef("low", 0, 0, "x"), TileRef("top", 0, 0, "y")))
    replica.apply(change(6, layers=[Layer(id="low", name="low")]))
    assert list(replica.tiles) == [("low", 0, 0)]


def test_j5_a_job_in_a_terminal_state_is_no_longer_open() -> None:
    replica = Replica()
    replica.load(manifest())
    replica.apply(change(6, job=Job(id="a-6", state="queued", user="u", box=Box(0, 0, 8, 8))))
    assert list(replica.jobs) == ["a-6"]
    replica.apply(change(7, job=Job(id="a-6", state="accepted", user="u", box=Box(0, 0, 8, 8))))
    assert replica.jobs == {}
