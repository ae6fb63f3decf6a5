"""Of several servers one has the turn at a time, whatever the store's clock does (J3)."""

from nanobana_server.store import Store


async def take_turn(store: Store, key: str, for_ms: int) -> bool:
    """Whether the turn is ours; it ends by itself after so long, by the store's clock.

    If that clock jumps back, the turn would last until its time has come again: it is cut to what a turn is.

    Raises:
        Unavailable: nobody knows.
    """
    if await store.client.call("SET", key, "1", "NX", "PX", for_ms):
        return True
    if await store.client.call("PTTL", key) > for_ms:
        await store.client.call("PEXPIRE", key, for_ms, "LT")
    return False
