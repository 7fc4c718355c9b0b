"""Access tokens are kept hashed and shown once; callback tokens are not kept at all."""

import hashlib
import hmac

import pytest

from research_fsm import InvalidInput, PersonKind
from research_fsm.testing.scenario import NOW
from research_fsm.tokens import AccessTokens, callback_token, is_callback_token, with_callback_token
from tests.core.doors import House, inside
from tests.core.examples import OTHER_OWNER, OWNER, REQUEST, RUN, RUN_2


@pytest.fixture
def house() -> House:
    """Return doors on an empty store."""
    return inside()


def test_a_token_opens_its_owners_people(house: House) -> None:
    """Its kind and its time are kept with it."""
    made = house.runs.tokens.create(OWNER, PersonKind.PARTNER)
    found = house.runs.tokens.authenticate(made.secret)
    assert found is not None
    assert (found.token_id, found.owner, found.kind) == (made.token_id, OWNER, "partner")
    assert (found.created_at, found.revoked_at) == (NOW, None)


def test_a_secret_is_kept_hashed_and_never_printed(house: House) -> None:
    """Whoever reads the store, or a log, learns no secret."""
    made = house.runs.tokens.create(OWNER)
    (kept,) = house.runs.tokens.list()
    assert kept.digest == hashlib.sha256(made.secret.encode()).hexdigest()
    assert made.secret not in repr(made)
    assert made.secret not in repr(kept)


@pytest.mark.parametrize("secret", ["", "rfsm_", "rfsm_unknown", "unknown", "rfsm_\u00e9", "\ud800"])
def test_an_unknown_secret_opens_nothing(house: House, secret: str) -> None:
    """Whatever somebody presents."""
    house.runs.tokens.create(OWNER)
    assert house.runs.tokens.authenticate(secret) is None


def test_the_digest_is_not_the_secret(house: House) -> None:
    """What the store holds does not open it."""
    house.runs.tokens.create(OWNER)
    (kept,) = house.runs.tokens.list()
    assert house.runs.tokens.authenticate(kept.digest) is None
    assert house.runs.tokens.authenticate("rfsm_" + kept.digest) is None


def test_a_store_that_finds_another_token_opens_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is compared again: an index that confuses two of them must not open anything."""
    made = house.runs.tokens.create(OWNER)
    other = house.runs.tokens.create(OTHER_OWNER)
    wrong = house.runs.tokens.authenticate(other.secret)
    monkeypatch.setattr(house.store, "token", lambda _digest: wrong)
    assert house.runs.tokens.authenticate(made.secret) is None


def test_a_revoked_token_opens_nothing_and_stays_listed(house: House) -> None:
    """Revoking it again keeps the first time."""
    made = house.runs.tokens.create(OWNER)
    house.clock.pass_(seconds=1)
    revoked = house.runs.tokens.revoke(made.token_id)
    assert revoked.revoked_at == NOW + 1_000_000
    house.clock.pass_(seconds=1)
    assert house.runs.tokens.revoke(made.token_id) == revoked
    assert house.runs.tokens.authenticate(made.secret) is None
    assert house.runs.tokens.list(OWNER) == [revoked]


def test_tokens_are_listed_by_owner_oldest_first(house: House) -> None:
    """And everybody's together."""
    ids = [house.runs.tokens.create(owner).token_id for owner in (OWNER, OTHER_OWNER, OWNER)]
    assert [token.token_id for token in house.runs.tokens.list()] == ids
    assert [token.token_id for token in house.runs.tokens.list(OWNER)] == [ids[0], ids[2]]


def test_a_token_that_is_not_there_cannot_be_revoked(house: House) -> None:
    """The error says where to look."""
    with pytest.raises(InvalidInput, match="there is no token 'nothing'"):
        house.runs.tokens.revoke("nothing")


def test_a_token_needs_an_owner(house: House) -> None:
    """A malformed one is refused before anything is written."""
    with pytest.raises(InvalidInput):
        AccessTokens(house.store).create("")
    assert house.runs.tokens.list() == []


def test_a_token_needs_a_kind_from_the_list(house: House) -> None:
    """The interface decides by it which part is opened."""
    with pytest.raises(InvalidInput, match="kind"):
        house.runs.tokens.create(OWNER, "admin")  # type: ignore[arg-type]  # That is the point.


# --- callback tokens ---------------------------------------------------------------------------------------------

SECRET = b"s" * 32


def test_a_callback_token_is_derived() -> None:
    """HMAC-SHA256 of run and number under the store's secret: what anybody with the secret can compute."""
    expected = hmac.new(SECRET, f"callback:{RUN}:7".encode(), hashlib.sha256).hexdigest()
    assert callback_token(SECRET, RUN, 7) == expected
    assert with_callback_token(REQUEST, SECRET).token == callback_token(SECRET, RUN, 1)


def test_a_callback_token_opens_one_run() -> None:
    """Not another run, not another number, not another store's."""
    token = callback_token(SECRET, RUN, 1)
    assert is_callback_token(token, SECRET, RUN, 1)
    assert not is_callback_token(token, SECRET, RUN, 2)
    assert not is_callback_token(token, SECRET, RUN_2, 1)
    assert not is_callback_token(token, b"t" * 32, RUN, 1)


@pytest.mark.parametrize("presented", ["", "x", "\u00e9", "\ud800", "A" * 64])
def test_what_is_no_token_opens_nothing(presented: str) -> None:
    """Whatever somebody presents is compared, and nothing raises."""
    assert not is_callback_token(presented, SECRET, RUN, 1)
