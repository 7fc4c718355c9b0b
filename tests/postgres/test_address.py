"""What an address says to libpq, to the store and to people."""

import pytest
from attrs import evolve

from research_fsm.errors import InvalidInput
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_address import Place
from research_fsm.testing.postgres import PostgresServer


@pytest.mark.parametrize(
    ("address", "conninfo", "shown"),
    [
        ("postgresql://host/app", "postgresql://host/app", "postgresql://host/app"),
        ("postgres://me:secret@/app", "postgres://me:secret@/app", "postgres://me@/app"),
        ("postgresql://", "postgresql://", "postgresql://"),
        (
            "postgresql://me:a#b?c&d@[::1]:5432,other:5433/app?sslmode=require",
            "postgresql://me:a#b?c&d@[::1]:5432,other:5433/app?sslmode=require",
            "postgresql://me@[::1]:5432,other:5433/app?sslmode=require",
        ),
        (
            "postgresql:///app?schema=a&password=x&prepared=false&host=/tmp&p%61ssword=x&sslPassword=x",
            "postgresql:///app?password=x&host=/tmp&p%61ssword=x&sslPassword=x",
            "postgresql:///app?host=/tmp&schema=a",
        ),
        ("postgresql://host?prepared=true", "postgresql://host", "postgresql://host"),
        ("host=db password=secret", "host=db password=secret", ""),
    ],
)
def test_an_address_is_read_as_libpq_reads_it(address: str, conninfo: str, shown: str) -> None:
    """Our two words are taken out of it, and people are shown nothing that is secret."""
    place = Place.of(address)
    assert (place.conninfo, place.shown) == (conninfo, shown)
    assert "password" not in repr(place)


def test_what_is_no_text_is_refused() -> None:
    """It is said what would be right."""
    with pytest.raises(InvalidInput, match="must be a text such as postgresql://"):
        PostgresStore(None)  # type: ignore[arg-type]  # On purpose.


def test_an_address_can_be_led_to_another_schema() -> None:
    """With everything else that it says."""
    place = Place.of("postgresql://me:a?b@host/app?schema=old&prepared=false")
    assert place.within("new") == "postgresql://me:a?b@host/app?schema=new&prepared=false"
    assert Place.of(place.within("new")) == evolve(place, schema="new")
    assert Place.of("postgresql://host?sslmode=require").within("new") == "postgresql://host?sslmode=require&schema=new"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:sec/ret@host/app",
        "postgresql://me:sec@ret@host/app",
        "postgresql://me:sec?r/et@host/app",
        "postgresql://host:ret/app",
        "postgresql://host/ret@app",
        "postgresql://[ret/app",
        "postgresql://host/app?prepared=ret",
    ],
)
def test_a_password_that_was_not_encoded_is_not_taken_for_a_host(address: str) -> None:
    """A host or a port would be found in it, and named in a message: it is refused without being repeated."""
    with pytest.raises(InvalidInput) as raised:
        Place.of(address)
    assert "ret" not in str(raised.value)


def test_one_text_names_a_store(server: PostgresServer, schema: str) -> None:
    """Whoever is handed the text that the command line is given gets the same store; an argument goes first."""
    address = f"{server.address()}?schema={schema}&application_name=mine&prepared=false"
    with PostgresStore(address) as store, PostgresStore(server.address(), schema=schema) as same:
        assert store.secret == same.secret
        assert store._writers[0].wire.run(b"SHOW application_name") == [[(b"mine",)]]
        assert (store._dialect.prepares, same._dialect.prepares) == (False, True)
    with PostgresStore(address, schema=f"{schema}_2", prepared=True) as other:
        assert other.secret != same.secret
        assert other._dialect.prepares
