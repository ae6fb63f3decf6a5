"""`nanobana serve`: an embedded store, one server and one engine, started, watched and stopped together."""
