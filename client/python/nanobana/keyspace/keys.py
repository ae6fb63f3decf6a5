"""Names of all Redis keys; those of one canvas share the hash tag ``{c:ID}``, so one script may touch them (C7)."""

import zlib
from dataclasses import dataclass

PREFIX = "nb"

SECRET = f"{PREFIX}:secret"
"""String: key that signs access tokens, drawn by the first server; 32 random bytes."""

UPKEEP = f"{PREFIX}:upkeep:due"
"""Sorted set: canvas ID → when it must be looked after, ms by the store's clock; negative: as soon as may be (C8)."""

CANVASES = f"{PREFIX}:canvases"
"""Set of all canvas IDs, for sweeps; a canvas is added before its keys are written."""


@dataclass(frozen=True, slots=True)
class CanvasKeys:
    """The keys of one canvas."""

    canvas: str

    @property
    def prefix(self) -> str:
        """What all keys of the canvas begin with."""
        return f"{PREFIX}:{{c:{self.canvas}}}:"

    def _key(self, name: str) -> str:
        return self.prefix + name

    @property
    def meta(self) -> str:
        """Hash: title, width, height, created_ms, epoch, seq, head_op, layers_version, used_bytes, budget_bytes."""
        return self._key("meta")

    @property
    def log(self) -> str:
        """Stream: entry ID ``{seq}-0``, field ``m`` = msgpack of Change."""
        return self._key("log")

    @property
    def layers(self) -> str:
        """String: msgpack list of Layer, bottom to top."""
        return self._key("layers")

    @property
    def tiles(self) -> str:
        """Hash: ``{layer}/{tx}/{ty}`` → tile name. A missing field is a transparent tile (C1)."""
        return self._key("tiles")

    @property
    def blobs(self) -> str:
        """Hash: blob name (32 hex digits of blake2b-128 over the bytes) → bytes."""
        return self._key("blobs")

    @property
    def blob_ages(self) -> str:
        """Sorted set: blob name → last upload, ms by the store's clock; infinity once an op has named the blob; minus
        the time at which nothing but history named it any more (C8)."""
        return self._key("blob_ages")

    @property
    def answers(self) -> str:
        """Hash: client → highest n and its last 256 answers, each n with its seq or the code of its refusal (C6)."""
        return self._key("answers")

    @property
    def undo(self) -> str:
        """Hash: seq → msgpack undo record (what the op did to layers, tiles and jobs) of the last 2000 ops (C9)."""
        return self._key("undo")

    @property
    def history(self) -> str:
        """Sorted set, all scores 0: ``{layer}/{tx}/{ty}/{seq as 16 digits}/{before}/{after}/{coverage}``."""
        return self._key("history")

    @property
    def stacks(self) -> str:
        """Hash: user → msgpack [undo, redo], each a list of [group, seq …], newest last, at most 100 (C9)."""
        return self._key("stacks")

    @property
    def flips(self) -> str:
        """Hash: seq of an op → seq of its last undo (negative) or redo (positive); absent: never undone."""
        return self._key("flips")

    @property
    def open_jobs(self) -> str:
        """Hash: job ID → stream entry as which it was sent, "" while unsent: the outbox and the list of open jobs."""
        return self._key("open")

    @property
    def public_jobs(self) -> str:
        """Hash: job ID → msgpack Job of every open job, as the manifest shows it."""
        return self._key("public")

    @property
    def ended_jobs(self) -> str:
        """Sorted set: job ID → when it ended, ms; as long as its record is kept, so that deletion finds it (C12)."""
        return self._key("ended")

    @property
    def edits(self) -> str:
        """Stream: the last 1000 edits that ended, ``{seq}-0`` of the change that ended it, ``m`` = msgpack of Job."""
        return self._key("edits")

    @property
    def archive(self) -> str:
        """Sorted set: ``{first seq}-{last seq}/{blob name}`` of each archived chapter of the log, by first seq (C8)."""
        return self._key("archive")

    @property
    def versions(self) -> str:
        """Hash: version ID → msgpack Version of every moment that has a name."""
        return self._key("versions")

    @property
    def deleted(self) -> str:
        """Hash: what `meta` was, and until_ms, of a canvas that was deleted and may be taken back until then (C12)."""
        return self._key("deleted")

    @property
    def asleep(self) -> str:
        """String: name of the file in the cellar that has this canvas, while no other key of it is here (C8)."""
        return self._key("asleep")

    def job(self, job: str) -> str:
        """Hash: spec (msgpack JobSpec), state, attempt, lease_until, worker, public (msgpack Job), updated_ms."""
        return self._key(f"job:{job}")

    def pieces(self, blob: str) -> str:
        """String: the bytes so far of a blob above a mebibyte; becomes a field of `blobs` when whole (C3)."""
        return self._key(f"pieces:{blob}")

    @property
    def links(self) -> str:
        """Hash: link ID (peppered hash of the secret) → msgpack of role, created_ms, expires_ms, max_uses, revoked."""
        return self._key("links")

    @property
    def arrivals(self) -> str:
        """Hash: link ID → how many people came by it; ``{link ID}/{user}`` → when that one first did, ms (R7)."""
        return self._key("arrivals")

    @property
    def comments(self) -> str:
        """Hash: thread → msgpack Thread, of every thread that has comments."""
        return self._key("comments")

    @property
    def verdicts(self) -> str:
        """Hash: user → msgpack Verdict: whom an owner gave another role, sent away or banned (R7)."""
        return self._key("verdicts")

    @property
    def members(self) -> str:
        """Hash: member ID → msgpack Member with its server and last-seen time; presence across servers."""
        return self._key("members")

    @property
    def people(self) -> str:
        """Hash: user → msgpack Person of everybody who ever came."""
        return self._key("people")

    @property
    def mips(self) -> str:
        """Hash: mip key (geometry.mip_key) → bytes of the mip tile; a cache with its own small budget (C2)."""
        return self._key("mips")

    @property
    def mip_ages(self) -> str:
        """Sorted set: mip key → last use, ms by the store's clock."""
        return self._key("mip_ages")

    def spent(self, what: str, who: str) -> str:
        """String that expires: when all is there again of what a person or link may spend here (spend.lua)."""
        return self._key(f"spent:{what}:{who}")

    @property
    def of_commit(self) -> list[str]:
        """The keys that commit.lua declares first, in its order; the job records follow."""
        return [
            self.meta,
            self.log,
            self.layers,
            self.tiles,
            self.blobs,
            self.answers,
            self.undo,
            self.history,
            self.stacks,
            self.flips,
            self.open_jobs,
            self.public_jobs,
            self.ended_jobs,
            self.blob_ages,
            self.bell,
            self.edits,
            self.comments,
            self.versions,
        ]

    @property
    def all(self) -> list[str]:
        """Every key of the canvas but its job records."""
        kept = [self.links, self.arrivals, self.verdicts, self.people, self.members, self.clients]
        kept += [self.mips, self.mip_ages, self.archive, self.asleep, self.deleted]
        return [key for key in self.of_commit if key != self.bell] + kept

    @property
    def clients(self) -> str:
        """Hash: client (a tab) → the user who used it first and whose it stays (C6, R7)."""
        return self._key("clients")

    @property
    def bell(self) -> str:
        """Sharded channel: the new seq after each commit; only a bell, the log is the truth (R9)."""
        return self._key("bell")

    @property
    def tape(self) -> str:
        """Sharded channel: ops of members with their answers, while a flight recorder is there."""
        return self._key("tape")

    @property
    def volatile(self) -> str:
        """Sharded channel: encoded messages of the latest-only and volatile classes (R3)."""
        return self._key("volatile")


@dataclass(frozen=True, slots=True)
class FamilyKeys:
    """The keys of one model family's queue (J1)."""

    family: str = "default"

    def _key(self, name: str) -> str:
        return f"{PREFIX}:{{jobs:{self.family}}}:{name}"

    def stream(self, lane: str) -> str:
        """Stream of JobTicket (field ``m``) for lane ``live`` or ``batch``."""
        return self._key(lane)

    @property
    def waiting(self) -> str:
        """Sorted set, all scores 0: ``{lane}/{model}/{user}/{rank}{entry, padded}/{job}`` of every ticket that no
        engine has; rank 0 for those that their author wants in front, 1 for the others (E7). Names of models are
        written as `queue_of` says."""
        return self._key("waiting")

    @property
    def turns(self) -> str:
        """Sorted set: ``{lane}/{model}/{user}`` → turn, of each user's queues with tickets; the lowest is next."""
        return self._key("turns")

    @property
    def desk(self) -> str:
        """Hash: ``live`` and ``batch``: the newest entry that was read; ``turn``; ``room/{engine}``: its free slots,
        then ``/{0 or 1}{model}`` of each model that it serves, 1 where it is in memory."""
        return self._key("desk")

    @property
    def hints(self) -> str:
        """Sharded channel: msgpack of Hint, for engines that have nothing else to do (E9)."""
        return self._key("hints")

    @property
    def engines(self) -> str:
        """Hash: worker ID → msgpack EngineBeat; an entry older than 5 s by `engine_ages` is dead."""
        return self._key("engines")

    @property
    def engine_ages(self) -> str:
        """Sorted set: worker ID → last beat, ms by the store's clock."""
        return self._key("engine_ages")


def queue_of(model: str) -> str:
    """A model's name as queues are named by it: without the slash that parts their names; "" is any engine's queue."""
    return model.replace("%", "%25").replace("/", "%2F")


def model_of(queue: str) -> str:
    """The other way round."""
    return queue.replace("%2F", "/").replace("%25", "%")


SHARDS = 16
"""Shards of the index of canvases with a non-empty outbox."""

JOB_GROUP = "engines"
RESULTS = f"{PREFIX}:{{results:0}}:stream"
"""Stream of JobResult (field ``m``); any server of the group takes it."""
RESULT_GROUP = "servers"


def room_ticket(digest: str) -> str:
    """String with a TTL of at most 60 s: msgpack of who may join which canvas in which role; taken by GETDEL."""
    return f"{PREFIX}:ticket:{digest}"


def spent(what: str, who: str) -> str:
    """String that expires: the same as in a canvas's slot, for what belongs to none (spend.lua)."""
    return f"{PREFIX}:spent:{what}:{who}"


def shard_of(canvas: str) -> int:
    """Shard of `canvas_index` that a canvas belongs to."""
    return zlib.crc32(canvas.encode()) % SHARDS


def canvas_index(shard: int) -> str:
    """Set of canvas IDs with a non-empty outbox, one per shard of 16; repaired by scan (design §3.3)."""
    return f"{PREFIX}:{{outbox:{shard}}}:canvases"
