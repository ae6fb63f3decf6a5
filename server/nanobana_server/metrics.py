"""What the server counts, named by what a painter feels; no canvas and no user in a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nanobana.protocol.canvas import Cost

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0)
_SIZES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)


class Metrics:
    """One server's figures; each app has its own registry."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.saved_seconds = Histogram(
            "nanobana_saved_seconds", "From an op's arrival to its acknowledgement", ["op"],
            registry=registry, buckets=_QUICK,
        )  # fmt: skip
        self.shown_seconds = Histogram(
            "nanobana_shown_seconds", "From the bell of a change to the frame that shows it",
            registry=registry, buckets=_QUICK,
        )  # fmt: skip
        self.first_preview_seconds = Histogram(
            "nanobana_first_preview_seconds", "From an edit being queued to its first picture, where its author is",
            registry=registry, buckets=_SLOW,
        )  # fmt: skip
        self.queue_age_seconds = Gauge(
            "nanobana_queue_age_seconds", "Age of the oldest edit that no engine has taken yet; 0 without one",
            registry=registry,
        )  # fmt: skip
        self.tick_seconds = Histogram(
            "nanobana_tick_seconds", "Pauses between two frames of a room; the tick stretches where showing takes long",
            registry=registry, buckets=_QUICK,
        )  # fmt: skip
        self.joined_seconds = Histogram(
            "nanobana_joined_seconds", "From an accepted ticket to the welcome", registry=registry, buckets=_QUICK
        )
        self.import_seconds = Histogram(
            "nanobana_import_seconds", "From a picture's last byte to its layer", registry=registry, buckets=_SLOW
        )
        self.frame_bytes = Histogram(
            "nanobana_frame_bytes", "Size of frames that were made for a room", registry=registry, buckets=_SIZES
        )
        self.members = Gauge("nanobana_members", "Open sockets that were welcomed", registry=registry)
        self.rooms = Gauge("nanobana_rooms", "Canvases with a member on this server", registry=registry)
        self.engines = Gauge("nanobana_engines", "Engines with a fresh heartbeat", registry=registry)
        self.edit_recomputed_ratio = Histogram(
            "nanobana_edit_recomputed_ratio", "Share of its canvas that an edit recomputed, in cells of its model",
            registry=registry, buckets=_SHARES,
        )  # fmt: skip
        self.edit_tiles_ratio = Histogram(
            "nanobana_edit_tiles_ratio", "Share of its canvas's tiles in which an edit may change a pixel",
            registry=registry, buckets=_SHARES,
        )  # fmt: skip
        self.edit_saved_seconds = Histogram(
            "nanobana_edit_saved_seconds", "What an edit did not have to compute, where its engine has timed the whole",
            registry=registry, buckets=_SLOW,
        )  # fmt: skip
        self.rejected = Counter("nanobana_rejected_total", "Ops that were not taken", ["code"], registry=registry)
        self.over_budget = Counter(
            "nanobana_over_budget_total", "Requests and edits that had to wait for a budget (R10)", ["what"],
            registry=registry,
        )  # fmt: skip
        self.closed = Counter("nanobana_closed_total", "Sockets that the server closed", ["code"], registry=registry)
        self.resynced = Counter("nanobana_resynced_total", "Rooms started again from a manifest", registry=registry)
        self.diverged = Counter(
            "nanobana_divergence_found_total", "Copies of a canvas that were wrong and were sent anew (R9)",
            registry=registry,
        )  # fmt: skip
        self.gaps = Counter("nanobana_gaps_filled_total", "Changes that no bell announced (R9)", registry=registry)

    def note_edit(self, cost: Cost) -> None:
        """A result was staged, of an edit that recomputed so much."""
        self.edit_recomputed_ratio.observe(cost.share)
        self.edit_tiles_ratio.observe(cost.tiles / cost.tiles_of)
        if cost.saved_ms is not None:
            self.edit_saved_seconds.observe(cost.saved_ms / 1000.0)

    def exposition(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self.registry)
