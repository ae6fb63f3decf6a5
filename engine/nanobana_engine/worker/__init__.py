"""The process that takes jobs from the store and hands in results: `python -m nanobana_engine.worker`."""
