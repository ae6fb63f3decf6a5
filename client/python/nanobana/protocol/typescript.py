"""Writes the browser's types from the wire's own: `python -m nanobana.protocol.typescript [--check]`.

Tagged structs become interfaces with a literal ``t``, array_like structs become labelled tuples, and a field is
optional exactly where its sender may leave it out: where the struct omits defaults, or where only clients send it.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import inspect

from nanobana.protocol import PROTOCOL_VERSION, canvas, geometry, messages, past

TARGET = Path(__file__).parents[3] / "web" / "src" / "protocol" / "types.ts"

HEADER = """\
// Generated from nanobana.protocol by `python -m nanobana.protocol.typescript`; do not edit (R1).
"""

CONSTANTS: dict[str, int] = {
    "PROTOCOL_VERSION": PROTOCOL_VERSION,
    "TILE": geometry.TILE,
    "MAX_SIDE": geometry.MAX_SIDE,
    "MAX_MIP": geometry.MAX_MIP,
    "MAX_FRAME": messages.MAX_FRAME,
    "INLINE": messages.INLINE,
    **{name: value for name, value in vars(messages).items() if name.startswith("CLOSE_")},
}

ALIASES: dict[str, tuple[str, ...]] = {
    "JobState": get_args(canvas.JobState),
    "Role": get_args(canvas.Role),
    "StrokeKind": get_args(messages.StrokeKind),
    "ChangeKind": get_args(canvas.ChangeKind),
}
"""Literal types that deserve a name of their own in TypeScript."""


def generate() -> str:
    """The whole of types.ts."""
    server = _structs((*messages.ServerMessage.__args__, past.Moments))
    client = _structs(messages.ClientMessage.__args__)
    parts = [HEADER]
    parts += [f"export const {name} = {value}\n" for name, value in CONSTANTS.items()]
    parts += [f"\nexport type {name} = {_literals(values)}\n" for name, values in ALIASES.items()]
    for struct in {**server, **client}.values():
        parts.append("\n" + _declare(struct, client_only=struct.cls not in server))
    for name, union in (
        ("ClientMessage", messages.ClientMessage),
        ("Op", messages.Op),
        ("ServerMessage", messages.ServerMessage),
    ):
        parts.append(f"\nexport type {name} =\n" + "".join(f"  | {kind.__name__}\n" for kind in union.__args__))
    return "".join(parts)


def _structs(roots: Iterable[type]) -> dict[type, inspect.StructType]:
    """Every struct that can be reached from these, dependencies first."""
    found: dict[type, inspect.StructType] = {}

    def visit(kind: inspect.Type) -> None:
        if isinstance(kind, inspect.StructType):
            if kind.cls in found:
                return
            for field in kind.fields:
                visit(field.type)
            found[kind.cls] = kind
            return
        for part in _parts(kind):
            visit(part)

    for root in roots:
        visit(inspect.type_info(root))
    return found


def _parts(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.Metadata):
        return (kind.type,)
    if isinstance(kind, inspect.UnionType):
        return kind.types
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return (kind.item_type,)
    if isinstance(kind, inspect.TupleType):
        return kind.item_types
    return ()


def _declare(struct: inspect.StructType, *, client_only: bool) -> str:
    name = struct.cls.__name__
    doc = (struct.cls.__doc__ or "").strip().splitlines()
    comment = f"/** {doc[0]} */\n" if doc and not doc[0].startswith(name + "(") else ""
    if struct.array_like:
        items = ", ".join(f"{field.encode_name}: {_type(field.type)}" for field in struct.fields)
        return f"{comment}export type {name} = [{items}]\n"
    may_omit = struct.cls.__struct_config__.omit_defaults or client_only
    lines = [f"{comment}export interface {name} {{\n"]
    if struct.tag is not None:
        lines.append(f"  {struct.tag_field}: {_literal(struct.tag)}\n")
    for field in struct.fields:
        mark = "?" if may_omit and not field.required else ""
        lines.append(f"  {field.encode_name}{mark}: {_type(field.type)}\n")
    return "".join([*lines, "}\n"])


_SCALARS: dict[type[inspect.Type], str] = {
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.StrType: "string",
    inspect.BoolType: "boolean",
    inspect.BytesType: "Uint8Array",
    inspect.NoneType: "null",
}


def _type(kind: inspect.Type) -> str:
    scalar = _SCALARS.get(type(kind))
    if scalar is not None:
        return scalar
    if isinstance(kind, inspect.Metadata):
        return _type(kind.type)
    if isinstance(kind, inspect.StructType):
        return kind.cls.__name__
    if isinstance(kind, inspect.LiteralType):
        for name, values in ALIASES.items():
            if set(values) == set(kind.values):
                return name
        return _literals(kind.values)
    if isinstance(kind, inspect.UnionType):
        return " | ".join(_type(part) for part in kind.types)
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        inner = _type(kind.item_type)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if isinstance(kind, inspect.TupleType):
        return "[" + ", ".join(_type(part) for part in kind.item_types) + "]"
    raise TypeError(f"no TypeScript for {kind!r}: teach nanobana.protocol.typescript this type")


def _literals(values: Iterable[Any]) -> str:
    return " | ".join(_literal(value) for value in values)


def _literal(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nanobana.protocol.typescript", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write or to check")
    options = parser.parse_args(arguments)
    text = generate()
    target: Path = options.target
    if options.check:
        if target.is_file() and target.read_text() == text:
            return 0
        sys.stderr.write(f"{target} has drifted from nanobana.protocol: run `make types` and commit the result\n")
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
