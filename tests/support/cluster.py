"""A Valkey Cluster of three masters from the embedded Valkey's binary, on ports of this machine."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from support.valkey import PrivateValkey, free_port

SLOTS = 16384
FORM_TIMEOUT_S = 30.0
WELL_S = 30.0
CLUSTER_OPTIONS = (
    *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
    *("--cluster-require-full-coverage", "no"),
)


@contextmanager
def private_cluster(
    nodes: int = 3, *, fsync: str = "no", node_timeout_ms: int = 15_000
) -> Iterator[list[PrivateValkey]]:
    """A running cluster whose slots are all served; its nodes in order, killed at the end.

    `cluster_url` of any node reaches all of it. Start it from the main thread.

    Args:
        node_timeout_ms: silence after which the nodes say of one that it failed. By default so long that a busy
            machine is no reason; short where a test waits for a node's return to be noticed.
    """
    folder = Path(tempfile.mkdtemp(prefix="nb-cl-"))
    started: list[PrivateValkey] = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for number in range(nodes):
            own = ("--cluster-port", str(free_port()))  # else 10,000 above, which may not exist
            options = (*CLUSTER_OPTIONS, "--cluster-node-timeout", str(node_timeout_ms), *own)
            node = PrivateValkey(folder / str(number), port=free_port(), fsync=fsync, options=options)
            stack.callback(node.kill)
            node.start()
            started.append(node)
        _form(started)
        yield started


def cluster_url(node: PrivateValkey) -> str:
    """The address by which nanobana reaches the cluster of a node."""
    return f"redis+cluster://127.0.0.1:{node.port}"


def home_of(nodes: list[PrivateValkey], slot: int) -> PrivateValkey:
    """The node that serves a slot."""
    with redis.Redis.from_url(nodes[0].url) as client:
        for first, last, (_host, port, *_rest), *_replicas in _ask(client, "SLOTS"):
            if first <= slot <= last:
                return next(node for node in nodes if node.port == port)
    raise AssertionError(f"nobody serves slot {slot}")


def move_slot(nodes: list[PrivateValkey], slot: int, target: PrivateValkey) -> None:
    """Move a slot with its keys to another node, while clients go on using it."""
    source = home_of(nodes, slot)
    with ExitStack() as stack:
        at = {node.port: stack.enter_context(redis.Redis.from_url(node.url)) for node in nodes}
        ids = {port: _ask(client, "MYID").decode() for port, client in at.items()}
        _ask(at[target.port], "SETSLOT", slot, "IMPORTING", ids[source.port])
        _ask(at[source.port], "SETSLOT", slot, "MIGRATING", ids[target.port])
        while keys := _ask(at[source.port], "GETKEYSINSLOT", slot, 10):
            words = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            at[source.port].execute_command(*words)
        for node in (target, source, *nodes):
            _ask(at[node.port], "SETSLOT", slot, "NODE", ids[target.port])


def wait_well(nodes: list[PrivateValkey]) -> None:
    """Until every node sees every other as alive: of three masters two are needed for anything to go on."""
    deadline = time.monotonic() + WELL_S
    for node in nodes:
        with redis.Redis.from_url(node.url) as client:
            while not _sees_all(client):
                if time.monotonic() > deadline:
                    raise RuntimeError("the cluster does not come together again")
                time.sleep(0.05)


def _sees_all(client: redis.Redis) -> bool:
    lines = [line.split() for line in _ask(client, "NODES").decode().splitlines()]
    return all("fail" not in line[2] and line[7] == "connected" for line in lines)


def _form(nodes: list[PrivateValkey]) -> None:
    bounds = [SLOTS * number // len(nodes) for number in range(len(nodes) + 1)]
    with ExitStack() as stack:
        clients = [stack.enter_context(redis.Redis.from_url(node.url)) for node in nodes]
        for number, client in enumerate(clients):
            _ask(client, "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            _ask(client, "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            _ask(clients[0], "MEET", "127.0.0.1", node.port, node.options[-1])
        deadline = time.monotonic() + FORM_TIMEOUT_S
        while not all(_whole(client, len(nodes)) for client in clients):
            if time.monotonic() > deadline:
                raise RuntimeError("the test's cluster did not form")
            time.sleep(0.02)


def _whole(client: redis.Redis, nodes: int) -> bool:
    facts = _ask(client, "INFO").decode()
    return "cluster_state:ok" in facts and f"cluster_known_nodes:{nodes}\r" in facts


def _ask(client: redis.Redis, *words: str | int) -> Any:
    return client.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call]
