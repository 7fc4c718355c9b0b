"""What a run costs, and whether so many can be paid for."""

import pytest

from research_fsm import PersonKind
from tests.http.service import OWNER, Service, log_of, problem

CONFIG, PREVIEW = "/api/credits/config", "/api/credits/preview"


@pytest.fixture
def service() -> Service:
    """Open a service whose owner has ten credits."""
    return Service()


def test_the_price_list_is_the_policy(service: Service) -> None:
    """One thing costs credits."""
    assert service.user.get(CONFIG).json() == {"actions": [{"action": "deep_research", "costPerUnit": 1}]}


@pytest.mark.parametrize(("count", "sufficient"), [(1, True), (10, True), (11, False)])
def test_a_preview_changes_nothing(service: Service, count: int, sufficient: bool) -> None:  # noqa: FBT001  # As listed.
    """It says what so many would cost, and whether there is enough."""
    before = log_of(service)
    answer = service.user.post(PREVIEW, json={"action": "deep_research", "count": count})
    assert answer.json() == {
        "action": "deep_research",
        "count": count,
        "costPerUnit": 1,
        "totalCredits": count,
        "sufficient": sufficient,
        "balance": 10,
    }
    assert log_of(service) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "other", "count": 1}, "action"),
        ({"action": "deep_research", "count": 0}, "count"),
        ({"action": "deep_research", "count": True}, "count"),
        ({"action": "deep_research", "count": "1"}, "count"),
        ({"action": "deep_research"}, "count"),
        ({"count": 1}, "action"),
    ],
)
def test_a_malformed_preview_is_refused(service: Service, body: dict[str, object], field: str) -> None:
    """The field is named."""
    assert problem(service.user.post(PREVIEW, json=body), 400, "invalid_request") == {"field": field}


def test_a_preview_passes_over_what_it_does_not_know(service: Service) -> None:
    """The published API knows this operation, and its clients may send more."""
    body = {"action": "deep_research", "count": 1, "more": 1}
    assert service.user.post(PREVIEW, json=body).json()["totalCredits"] == 1


def test_both_kinds_of_tokens_may_ask(service: Service) -> None:
    """Nobody at all may not."""
    partner = service.client(service.token(OWNER, PersonKind.PARTNER))
    assert partner.get(CONFIG).status_code == 200
    problem(service.nobody.get(CONFIG), 401, "unauthorized")
    problem(service.nobody.post(PREVIEW, json={}), 401, "unauthorized")
