"""Paging while people are added and deleted: whoever was there all the time is seen once, in the same order."""

from hypothesis import given
from hypothesis import strategies as st

from research_fsm import PersonKind
from research_fsm.profile import Profile
from tests.http.service import OWNER, PEOPLE, Service

_RESEARCH = "/api/v1/research"

_MEANWHILE = st.lists(st.sampled_from(["add", "add", "delete first", "delete last", "start"]), max_size=5)
"""What happens between two pages."""


@given(
    start=st.integers(0, 9),
    limit=st.integers(1, 4),
    meanwhile=st.lists(_MEANWHILE, max_size=12),
    kind=st.sampled_from(PersonKind),
)
def test_pages_are_stable_while_people_come_and_go(
    start: int, limit: int, meanwhile: list[list[str]], kind: PersonKind
) -> None:
    """Nobody twice, nobody missing who was there from the first page to the last, newest first throughout."""
    service = Service(credits_=100, inside=True)
    client = service.client(service.token(OWNER, kind))
    path = PEOPLE if kind is PersonKind.USER else _RESEARCH
    added: list[str] = []
    deleted: set[str] = set()

    def act(what: str) -> None:
        if what == "add" or not added:
            profile = Profile(linkedin_url=f"linkedin.com/in/person-{len(added)}")
            added.append(service.runs.add(OWNER, profile, kind=kind).accepted().person_id)
        elif what == "start":
            service.runs.start(added[-1])
        else:
            gone = next((one for one in (added if what == "delete first" else added[::-1]) if one not in deleted), None)
            if gone is not None:
                service.runs.erase(gone)
                deleted.add(gone)

    for _ in range(start):
        act("add")
    there, pages, seen = list(added), iter(meanwhile), []
    query: dict[str, str] = {"limit": str(limit)}
    while query:
        page = client.get(path, params=query).json()
        assert len(page["people"]) <= limit
        seen += [one["id"] for one in page["people"]]
        query = {"limit": str(limit), "cursor": page["cursor"]} if page["cursor"] else {}
        for what in next(pages, []):
            act(what)
    newest_first = added[::-1]
    assert [one for one in newest_first if one in seen] == seen, "in order, and nobody twice"
    assert {one for one in there if one not in deleted} <= set(seen), "nobody is missing"
