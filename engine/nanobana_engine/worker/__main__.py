"""`python -m nanobana_engine.worker`."""

from nanobana_engine.worker.main import run

if __name__ == "__main__":
    run()
