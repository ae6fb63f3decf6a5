"""One plain event loop for editors, servers and bad networks: uvloop complains of handles that a cut closed."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"
