"""The browser's types follow the wire's (R1)."""

from pathlib import Path

import pytest

from nanobana.protocol import messages, typescript


def test_r1_the_committed_types_have_not_drifted() -> None:
    if not typescript.TARGET.parent.is_dir():
        pytest.skip("the browser client is not part of this checkout")
    assert typescript.main(["--check"]) == 0


def test_r1_drift_fails_the_check(tmp_path: Path) -> None:
    target = tmp_path / "types.ts"
    assert typescript.main(["--target", str(target)]) == 0
    assert typescript.main(["--check", "--target", str(target)]) == 0
    target.write_text(target.read_text().replace("seq: number", "seq: string", 1))
    assert typescript.main(["--check", "--target", str(target)]) == 1


def test_r1_every_message_is_an_interface_with_its_tag() -> None:
    text = typescript.generate()
    for kind in (*messages.ClientMessage.__args__, *messages.ServerMessage.__args__):
        assert f'export interface {kind.__name__} {{\n  t: "{kind.__struct_config__.tag}"\n' in text


def test_r1_array_like_structs_become_tuples_and_omitted_defaults_become_optional() -> None:
    text = typescript.generate()
    assert "export type Box = [x0: number, y0: number, x1: number, y1: number]" in text
    assert "  retry_ms?: number | null\n" in text
    assert "  variations?: number\n" in text, "EditParams is sent by clients, who may leave defaults out"
    assert "  user_name: string\n" in text, "a Job is sent whole by the server"


def test_r1_an_unknown_kind_of_type_is_an_error_and_not_any() -> None:
    from msgspec import inspect

    with pytest.raises(TypeError, match="teach"):
        typescript._type(inspect.DateTimeType(tz=None))
