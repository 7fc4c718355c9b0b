"""The Django project of the documentation on PostgreSQL; the page itself is run on SQLite."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

from research_fsm.testing.postgres import PostgresServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "embed-django.md"
BLOCK = re.compile(r"```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<source>.*?)```", re.DOTALL)

SETTINGS = """
from hiring.settings import *
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": %d,
                         "NAME": "%s", "USER": "postgres"}}
"""


def build(page: Path, folder: Path, **environment: str) -> str:
    """Do what a page says, in a folder: write its files, run its commands. Returns what they printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = ""
    for block in BLOCK.finditer(page.read_text()):
        if block["title"]:
            (folder / block["title"]).write_text(block["source"])
        elif block["language"] == "sh":
            done = subprocess.run(  # noqa: S603  # The documentation's own commands.
                ["bash", "-euo", "pipefail", "-c", block["source"]],  # noqa: S607  # The user's shell.
                cwd=folder,
                env={**os.environ, "PATH": path, **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            printed += done.stdout + done.stderr
            assert done.returncode == 0, printed
    return printed


def test_the_project_of_the_page_works_on_postgresql_too(tmp_path: Path) -> None:
    """Its tests pass, and `migrate` leaves the library's tables beside Django's."""
    with PostgresServer(fsync="off") as server:  # Nothing here is about a power failure.
        address = server.new_database()
        name = address.rpartition("/")[2]
        (tmp_path / "on_postgresql.py").write_text(SETTINGS % (server.port, name))
        printed = build(PAGE, tmp_path, DJANGO_SETTINGS_MODULE="on_postgresql")
        assert "Ran 1 test" in printed
        with psycopg.connect(address) as connection:
            schemas = connection.execute("SELECT schemaname, tablename FROM pg_tables").fetchall()
    assert {("research_fsm", "events"), ("public", "candidates_candidate")} <= set(schemas)
