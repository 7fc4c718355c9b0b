"""Bad input: what no command, policy or outcome of a dispatcher may carry, and the error that names it."""

from datetime import timedelta
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import InvalidInput, Policy
from research_fsm.commands import (
    AddPerson,
    GrantCredits,
    MarkStale,
    RequestKey,
    RevokeCredits,
    Sighting,
    SightingState,
    checked_id,
    checked_member,
    checked_uuid,
)
from research_fsm.events import AttemptResult, FailReason, PersonKind
from research_fsm.policy import micros
from research_fsm.requests import AttemptOutcome
from research_fsm.testing.scenario import PERSON_ID
from tests.core.examples import OWNER, RUN, X, answering, arming, claiming, completing, failing, renewing, starting

# --- ids ---------------------------------------------------------------------------------------------------------


@given(st.uuids())
def test_every_uuid_is_one(value: UUID) -> None:
    """In either case, and as an object; what is kept is in lower case."""
    assert checked_uuid("id", value) == str(value)
    assert checked_uuid("id", str(value).upper()) == str(value)


@given(st.one_of(st.text(), st.integers(), st.none(), st.binary()))
def test_what_is_no_uuid_is_refused(value: object) -> None:
    """Whatever it is; and the error says which field it was."""
    with pytest.raises(InvalidInput, match="person_id: must be a UUID") as raised:
        checked_uuid("person_id", value)
    assert raised.value.field == "person_id"


@pytest.mark.parametrize(
    "value",
    [
        "00000000-0000-4000-8000-000000000001\n",
        "00000000-0000-4000-8000-00000000000",
        "{00000000-0000-4000-8000-000000000001}",
        "00000000000040008000000000000001",
        "00000000-0000-4000-8000-00000000000\u0661",
    ],
)
def test_what_nearly_is_a_uuid_is_refused(value: str) -> None:
    """One form, and nothing around it; a digit of another script is none."""
    with pytest.raises(InvalidInput):
        checked_uuid("id", value)


@given(st.text(min_size=1, max_size=255))
def test_an_opaque_id_is_printable_text(value: str) -> None:
    """It is kept as it is, or refused because it cannot be printed."""
    if value.isprintable():
        assert checked_id("owner", value) == value
    else:
        with pytest.raises(InvalidInput):
            checked_id("owner", value)


@pytest.mark.parametrize("value", ["", "a" * 256, None, 1, b"acme", "a\nb", "a\x00", "\ud800", "\u202e"])
def test_what_is_no_opaque_id_is_refused(value: object) -> None:
    """Empty, too long, no text, a control character, half a surrogate pair, a character that turns the text around."""
    with pytest.raises(InvalidInput, match="owner: must be printable text of 1 to 255 characters"):
        checked_id("owner", value)


def test_the_longest_opaque_id() -> None:
    """255 characters."""
    assert checked_id("owner", "a" * 255) == "a" * 255


@given(st.text())
def test_a_plain_string_is_no_member_of_a_fixed_list(value: str) -> None:
    """The rules compare by identity: a string that reads the same would be taken for another."""
    with pytest.raises(InvalidInput, match=r"kind: must be a PersonKind \(user, partner\)"):
        checked_member("kind", PersonKind, value)
    checked_member("kind", PersonKind, PersonKind.USER)


# --- commands ----------------------------------------------------------------------------------------------------


def changed(command: AddPerson, field: str, value: object) -> AddPerson:
    """Return a command with another value in one field; `AddPerson` stands for every command."""
    return attrs.evolve(command, **{field: value})  # type: ignore[arg-type]  # The field is known by name alone.


BAD_UUIDS: list[object] = ["", "ada", RUN.upper(), None, 1, RUN + " "]
BAD_IDS: list[object] = ["", "a" * 256, "a\tb", 7]
BAD_NUMBERS: list[object] = [0, -1, 2**31 + 1, True, 1.0, "1", None]

STARTING, CLAIMING, COMPLETING, FAILING = starting(), claiming(), completing(), failing()
ADDING = AddPerson(person_id=PERSON_ID, owner=OWNER, kind=PersonKind.USER, profile=b"{}", salt="salt")
GRANTING = GrantCredits(owner=OWNER, grant_id="g", amount=1)
REVOKING = RevokeCredits(owner=OWNER, grant_id="g")
MARKING = MarkStale(person_id=PERSON_ID)
SEEING = Sighting(external_id=X, state=SightingState.ALIVE)


@pytest.mark.parametrize(
    ("command", "field", "values"),
    [
        (ADDING, "person_id", BAD_UUIDS),
        (ADDING, "owner", BAD_IDS),
        (ADDING, "kind", ["user", "admin", None]),
        (ADDING, "profile", [b"x" * (3 * 2**20 + 1)]),
        (ADDING, "actor", BAD_IDS),
        (MARKING, "person_id", BAD_UUIDS),
        (MARKING, "owner", BAD_IDS),
        (MARKING, "reason", ["requested", None]),
        (MARKING, "actor", BAD_IDS),
        (STARTING, "person_id", BAD_UUIDS),
        (STARTING, "run_id", BAD_UUIDS),
        (STARTING, "owner", BAD_IDS),
        (STARTING, "actor", BAD_IDS),
        (arming(), "run_id", BAD_UUIDS),
        (arming(), "actor", BAD_IDS),
        (answering(AttemptResult.REFUSED), "person_id", BAD_UUIDS),
        (answering(AttemptResult.REFUSED), "run_id", BAD_UUIDS),
        (answering(AttemptResult.REFUSED), "result", ["refused", None]),
        (renewing(), "run_id", BAD_UUIDS),
        (renewing(), "run_no", BAD_NUMBERS),
        (renewing(), "external_id", BAD_IDS),
        (CLAIMING, "run_id", BAD_UUIDS),
        (CLAIMING, "run_no", BAD_NUMBERS),
        (CLAIMING, "external_id", BAD_IDS),
        (CLAIMING, "actor", BAD_IDS),
        (COMPLETING, "run_no", BAD_NUMBERS),
        (COMPLETING, "external_id", BAD_IDS),
        (COMPLETING, "report", [b"x" * (3 * 2**20 + 1)]),
        (COMPLETING, "actor", BAD_IDS),
        (FAILING, "run_no", BAD_NUMBERS),
        (FAILING, "external_id", BAD_IDS),
        (FAILING, "reason", ["no_output", "because", None]),
        (FAILING, "detail", [b"x" * (3 * 2**20 + 1)]),
        (FAILING, "actor", BAD_IDS),
        (SEEING, "external_id", BAD_IDS),
        (SEEING, "state", ["alive", None]),
        (SEEING, "report", [b"x" * (3 * 2**20 + 1)]),
        (GRANTING, "owner", BAD_IDS),
        (GRANTING, "grant_id", BAD_IDS),
        (GRANTING, "amount", [0, -1, 10**12 + 1, True, 1.5, "1", None]),
        (GRANTING, "actor", BAD_IDS),
        (REVOKING, "owner", BAD_IDS),
        (REVOKING, "grant_id", BAD_IDS),
        (REVOKING, "actor", BAD_IDS),
    ],
)
def test_a_command_is_checked_when_it_is_made(command: AddPerson, field: str, values: list[object]) -> None:
    """The rules meet nothing malformed, and the error names the field."""
    for value in values:
        with pytest.raises(InvalidInput) as raised:
            changed(command, field, value)
        assert raised.value.field == field


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        (GRANTING, "amount", 10**12),
        (CLAIMING, "run_no", 2**31),
        (COMPLETING, "report", b"x" * (3 * 2**20)),
        (FAILING, "detail", None),
        (FAILING, "reason", FailReason.NO_OUTPUT),
        (STARTING, "owner", None),
    ],
)
def test_the_extremes_are_allowed(command: AddPerson, field: str, value: object) -> None:
    """What stands at the limit is within it."""
    assert getattr(changed(command, field, value), field) == value


@pytest.mark.parametrize(
    "command",
    [
        ADDING,
        attrs.evolve(COMPLETING, report=b'{"secret":1}'),
        attrs.evolve(FAILING, detail=b'"secret"'),
        attrs.evolve(SEEING, report=b'"secret"'),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_command_that_is_printed_shows_no_document(command: object) -> None:
    """Documents are personal data, and what is printed ends in logs."""
    assert "secret" not in repr(command)
    assert "salt" not in repr(command)


# --- request keys ------------------------------------------------------------------------------------------------


@given(st.tuples(st.text(), st.text(min_size=1)), st.tuples(st.text(), st.text(min_size=1)))
def test_keys_of_different_callers_never_meet(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Caller and key are digested together, without a way to move the boundary between them."""

    def digest(caller: str, key: str) -> str:
        return RequestKey.of(caller, key, "start").digest

    printable = [pair for pair in (one, other) if pair[1].isprintable() and len(pair[1]) <= 255]
    digests = {digest(*pair) for pair in printable}
    assert len(digests) == len(set(printable))


def test_a_key_has_a_fingerprint_of_its_request() -> None:
    """The same key with another request is noticed; without a caller it is a key of its own."""
    one, same, other = (RequestKey.of("a", "k", what) for what in ("x", "x", "y"))
    assert one == same
    assert one.digest == other.digest
    assert one.fingerprint != other.fingerprint
    assert RequestKey.of(None, "k", "x").digest != one.digest
    assert RequestKey.of("a", "k", "x", "y").fingerprint != RequestKey.of("a", "k", "xy").fingerprint


@pytest.mark.parametrize("key", ["", "a" * 256, "a\nb", "\ud800"])
def test_a_malformed_key_is_refused(key: str) -> None:
    """It is stored and shown, so it is printable and short."""
    with pytest.raises(InvalidInput) as raised:
        RequestKey.of("a", key, "start")
    assert raised.value.field == "key"


# --- what a dispatcher says --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"result": AttemptResult.ACCEPTED},
        {"result": AttemptResult.REFUSED, "external_id": X},
        {"result": AttemptResult.AMBIGUOUS, "external_id": X},
        {"result": AttemptResult.ACCEPTED, "external_id": ""},
        {"result": AttemptResult.ACCEPTED, "external_id": "a" * 256},
        {"result": AttemptResult.REFUSED, "reason": "Ada is not allowed"},
        {"result": AttemptResult.REFUSED, "reason": "a" * 65},
        {"result": "ambiguous"},
        {"result": "accepted", "external_id": X},
    ],
)
def test_an_outcome_that_contradicts_itself_is_refused(values: dict[str, object]) -> None:
    """Made inside a dispatcher, it counts as ambiguous: an acceptance without an id is no refusal."""
    with pytest.raises(InvalidInput):
        AttemptOutcome(**values)  # type: ignore[arg-type]  # That is the point.


# --- policy ------------------------------------------------------------------------------------------------------

DURATIONS = [
    "dispatch_deadline",
    "queue_deadline",
    "run_deadline",
    "attempt_lease",
    "resend_window",
    "worker_lease",
    "renew_every",
    "poll_interval",
    "stale_after",
]
NUMBERS = {
    "cost": (0, 10**9),
    "max_attempts": (1, 100),
    "max_deliveries": (1, 100),
    "recovery_batch": (1, 10_000),
}


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [timedelta(), timedelta(seconds=-1), timedelta(days=36_501), 5, "5s", 1.0])
def test_a_duration_is_above_zero_and_below_a_century(name: str, value: object) -> None:
    """Everything else is refused by its name."""
    with pytest.raises(InvalidInput) as raised:
        Policy(**{name: value})  # type: ignore[arg-type]  # That is the point.
    assert raised.value.field == name


@pytest.mark.parametrize("name", [name for name in DURATIONS if name != "stale_after"])
def test_only_the_age_of_reports_may_be_missing(name: str) -> None:
    """None means never, which no deadline may be."""
    assert Policy(stale_after=None).stale_after is None
    with pytest.raises(InvalidInput):
        Policy(**{name: None})  # type: ignore[arg-type]  # That is the point.


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_whole_and_within_its_limits(name: str) -> None:
    """Both ends are allowed, what lies beyond is not, and a boolean is no number."""
    lowest, highest = NUMBERS[name]
    for value in (lowest, highest):
        assert getattr(Policy(**{name: value}), name) == value  # type: ignore[arg-type]  # By name.
    beyond: list[object] = [lowest - 1, highest + 1, True, 1.0, "1", None]
    for wrong in beyond:
        with pytest.raises(InvalidInput) as raised:
            Policy(**{name: wrong})  # type: ignore[arg-type]  # That is the point.
        assert raised.value.field == name


def test_a_worker_renews_before_its_lease_is_over() -> None:
    """Otherwise every delivery would be lost."""
    with pytest.raises(InvalidInput, match="renew_every: must be shorter than worker_lease"):
        Policy(renew_every=timedelta(seconds=10))
    assert Policy(renew_every=timedelta(seconds=10, microseconds=-1)).worker_lease == timedelta(seconds=10)


@given(st.timedeltas())
def test_a_duration_is_counted_in_whole_microseconds(duration: timedelta) -> None:
    """No float stands between."""
    assert timedelta(microseconds=micros(duration)) == duration
