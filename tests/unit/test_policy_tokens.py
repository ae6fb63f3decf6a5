"""Access tokens hold what was signed, for this store and for a time (R7)."""

import jwt
import msgspec
import pytest

from nanobana.protocol.errors import NotAllowed
from nanobana_server.policy.tokens import Access, Signer

KEY = bytes(range(32))
ACCESS = Access(canvas="c", role="editor", link="l", user="u", name="Ana", expires=1000)


def test_a_token_says_what_was_signed() -> None:
    signer = Signer(KEY, lambda: 0.0)
    assert signer.check(signer.sign(ACCESS)) == ACCESS


def test_a_token_ends_with_its_time_also_when_it_was_seen_before() -> None:
    now = [0.0]
    signer = Signer(KEY, lambda: now[0])
    token = signer.sign(ACCESS)
    signer.check(token)
    now[0] = 1000.0
    with pytest.raises(NotAllowed) as told:
        signer.check(token)
    assert told.value.code == "token_expired"


@pytest.mark.parametrize("key", [bytes(32), None])
def test_a_token_of_another_store_or_of_no_key_is_refused(key: bytes | None) -> None:
    claims = {"exp": 1000, "nb": msgspec.to_builtins(ACCESS)}
    token = jwt.encode(claims, key, algorithm="HS256" if key else "none")
    with pytest.raises(NotAllowed) as told:
        Signer(KEY, lambda: 0.0).check(token)
    assert told.value.code == "token_invalid"


def test_r7_a_user_id_needs_its_key() -> None:
    signer = Signer(KEY, lambda: 0.0)
    user, user_key = signer.person(None, None)
    assert signer.person(user, user_key) == (user, user_key)
    for wrong in (None, "", "0" * 32, "ü"):
        with pytest.raises(NotAllowed):
            signer.person(user, wrong)
