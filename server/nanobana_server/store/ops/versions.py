"""Names for moments of a canvas (C13)."""

from nanobana.protocol.canvas import Version
from nanobana.protocol.errors import BadInput, NotFound
from nanobana.protocol.messages import VersionSet
from nanobana_server.store.ops.landing import land
from nanobana_server.store.store import Store
from nanobana_server.store.types import Author, Commit, Committed

MAX_VERSIONS = 500


async def version_set(store: Store, canvas: str, author: Author, message: VersionSet) -> Committed:
    """Name a moment, name it anew, or take its name away.

    Raises:
        NotFound: ``no_moment``; ``no_version`` where a name is to go that is not there.
        BadInput: ``too_many_versions``.
    """

    async def attempt() -> Committed:
        position = await store.position(canvas)
        known = {version.id: version for version in await store.versions(canvas)}
        if message.seq > position.seq:
            raise NotFound("This moment has not come yet.", code="no_moment")
        if not message.name.strip() and message.version not in known:
            raise NotFound("There is no such version; somebody may have removed it.", code="no_version")
        if message.version not in known and len(known) >= MAX_VERSIONS:
            text = f"A canvas has at most {MAX_VERSIONS} named versions; remove one first."
            raise BadInput(text, code="too_many_versions")
        version = Version(
            id=message.version,
            name=message.name.strip(),
            seq=message.seq,
            user=author.user,
            user_name=author.name,
            color=author.color,
            created_ms=await store.now_ms(),
        )
        return await store.commit(
            canvas, Commit(op=message.op, user=author.user, kind="version", version=version, over_budget=True)
        )

    return await land(store, canvas, message.op, attempt)
