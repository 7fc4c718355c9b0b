"""What an address says to libpq, to the store and to people."""

import pytest

from research_fsm.errors import InvalidInput
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_address import Place
from research_fsm.testing.postgres import PostgresServer


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgresql://host/app", Place("postgresql://host/app", "postgresql://host/app")),
        ("postgres://me:secret@/app", Place("postgres://me:secret@/app", "postgres://me@/app")),
        ("postgresql://", Place("postgresql://", "postgresql://")),
        (
            "postgresql://me:a#b?c&d@[::1]:5432,other:5433/app?sslmode=require",
            Place("postgresql://me:a#b?c&d@[::1]:5432,other:5433/app?sslmode=require", "postgresql://me@[::1]:5432,other:5433/app"),
        ),
        (
            "postgresql://host/app?schema=a&password=secret&prepared=false",
            Place("postgresql://host/app?password=secret", "postgresql://host/app?schema=a", "a", prepared=False),
        ),
        ("postgresql://host?prepared=true", Place("postgresql://host", "postgresql://host", prepared=True)),
        ("host=db password=secret", Place("host=db password=secret", "")),
    ],
)  # fmt: skip
def test_an_address_is_read_as_libpq_reads_it(address: str, place: Place) -> None:
    """Our two words are taken out of it, and people are shown neither a password nor an option."""
    assert Place.of(address) == place


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
        assert store._writer.run(b"SHOW application_name") == [[(b"mine",)]]
        assert (store._dialect.prepares, same._dialect.prepares) == (False, True)
    with PostgresStore(address, schema=f"{schema}_2", prepared=True) as other:
        assert other.secret != same.secret
        assert other._dialect.prepares
