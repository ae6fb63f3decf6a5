"""Jobs: edits become tickets for the engines, results become changes of the canvas (rules J1–J5)."""

from nanobana_server.jobs.decide import cancel, decide
from nanobana_server.jobs.queue import Place, foretell, queue_age_s, queue_places
from nanobana_server.jobs.results import run_results
from nanobana_server.jobs.served import look
from nanobana_server.jobs.submit import submit
from nanobana_server.jobs.sweeper import run_sweeper
from nanobana_server.jobs.upkeep import run_upkeep

__all__ = [
    "Place",
    "cancel",
    "decide",
    "foretell",
    "look",
    "queue_age_s",
    "queue_places",
    "run_results",
    "run_sweeper",
    "run_upkeep",
    "submit",
]
