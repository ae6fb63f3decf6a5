"""The Lua scripts: each says what it takes and gives, and touches declared keys only (C7)."""

import re
from importlib import resources

import pytest

from nanobana.keyspace.keys import CanvasKeys, FamilyKeys, shard_of
from nanobana.keyspace.scripts import NAMES, script

FOLDER = resources.files("nanobana.keyspace") / "lua"


def test_c7_every_script_in_the_folder_is_listed() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.lua" for name in sorted(NAMES)]


@pytest.mark.parametrize("name", NAMES)
def test_c7_a_script_opens_with_what_it_is_for_its_keys_arguments_and_answer(name: str) -> None:
    header = [line for line in script(name).text.splitlines() if not line.startswith("#!")]
    comment = "\n".join(header[: next(n for n, line in enumerate(header) if not line.startswith("--"))])
    for word in ("-- KEYS ", "-- ARGV ", "-- RETURNS "):
        assert word in comment
    assert len(header[0]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_c7_a_script_names_no_key_by_itself(name: str) -> None:
    code = "\n".join(line for line in script(name).text.splitlines() if not line.lstrip().startswith("--"))
    assert "nb:" not in code
    code = re.sub(r"redis\.call\('(TIME|INFO)'[^)]*\)", "", code)
    code = re.sub(r"'(XGROUP|XINFO)', '\w+'", "'SUB'", code)  # a subcommand is no key
    assert not re.search(r"redis\.call\('\w+', '[^']*'\s*[,)]", code)


def test_c7_all_keys_of_a_canvas_share_its_hash_tag() -> None:
    keys = CanvasKeys("abc")
    for key in [*keys.all, *keys.of_commit, keys.job("tab-1"), keys.volatile]:
        assert re.search(r"{(.*?)}", key).group(1) == "c:abc"  # type: ignore[union-attr]
    assert {re.search(r"{(.*?)}", key).group(1) for key in (FamilyKeys().stream("live"), FamilyKeys().engines)} == {  # type: ignore[union-attr]
        "jobs:default"
    }


def test_c7_deletion_knows_every_key_of_a_canvas() -> None:
    keys = CanvasKeys("abc")
    properties = [name for name, value in vars(CanvasKeys).items() if isinstance(value, property)]
    none = ("prefix", "of_commit", "all", "bell", "tape", "volatile")
    named = {getattr(keys, name) for name in properties if name not in none}
    assert set(keys.all) == named


def test_the_shard_of_a_canvas_is_stable() -> None:
    assert shard_of("abc") == shard_of("abc")
    assert {shard_of(f"c{n}") for n in range(300)} == set(range(16))
