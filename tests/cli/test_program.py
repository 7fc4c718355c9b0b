"""The program as a whole: which options there are, what starting it imports, where the store is looked for."""

import subprocess
import sys
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import attrs
import click
import pytest
from click.testing import CliRunner

from research_fsm.cli import cli, pipelines
from research_fsm.cli.settings import DURATION, duration_text, policy_from, policy_options
from research_fsm.errors import InvalidInput
from research_fsm.policy import Policy
from tests.cli.conftest import Program

COMMANDS = sorted(set(cli.list_commands(click.Context(cli))) - {"demo", "simulate"})
"""The demonstration and the simulator are programs of their own: they make their own stores, and wait for nobody."""


def _command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def _options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_the_help_names_every_command(program: Program) -> None:
    """Each has its words, and they are those of the command itself."""
    stdout = program("--help").stdout
    for name in cli.list_commands(click.Context(cli)):
        assert f"  {name} " in stdout
    assert "demo" in stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help_and_the_common_options(program: Program, name: str) -> None:
    """``--store`` and ``--json`` stand on every command."""
    command = _command(name)
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert {"--store", "--json", "--wait"} <= _options(leaf)
        assert leaf.help
    result = program(name, "--help")
    assert result.exit_code == 0


def test_the_demonstration_is_a_command(program: Program) -> None:
    """It is loaded from where it lives only when it is called."""
    assert {"--store", "--json"} <= _options(_command("demo"))
    result = program("demo", "--help")
    assert result.exit_code == 0
    assert "Usage: research-fsm demo" in result.stdout


@pytest.mark.parametrize("name", ["start", "serve", "work", "recover"])
def test_every_field_of_the_policy_is_an_option(name: str) -> None:
    """None can be forgotten, and each says what it is and what it is by default."""
    parameters = {option: one for one in _command(name).params if isinstance(one, click.Option) for option in one.opts}
    for field in attrs.fields(Policy):
        option = parameters[f"--{field.name.replace('_', '-')}"]
        assert option.help
        assert option.show_default


def test_the_defaults_of_the_options_are_the_policys() -> None:
    """A command without options has the policy that the library has."""
    found: list[dict[str, object]] = []

    @click.command()
    @policy_options
    def command(**settings: object) -> None:
        found.append(settings)

    command.main([], standalone_mode=False)
    assert policy_from(found[0]) == Policy()
    words = ["--cost", "3", "--stale-after", "30d", "--worker-lease", "500ms", "--renew-every", "1ms"]
    command.main(words, standalone_mode=False)
    assert policy_from(found[1]) == Policy(
        cost=3,
        stale_after=timedelta(days=30),
        worker_lease=timedelta(milliseconds=500),
        renew_every=timedelta(milliseconds=1),
    )


def test_the_policy_can_come_from_the_environment(program: Program) -> None:
    """Processes that must agree on a setting share a variable."""
    program("grant", "acme", 5)
    person_id = program.person()
    assert program("start", person_id, env={"RESEARCH_FSM_COST": "2"}).exit_code == 0
    assert program.json("balance", "acme")["charged"] == 2


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("2s", timedelta(seconds=2)),
        ("10m", timedelta(minutes=10)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
    ],
)
def test_durations_are_read_and_written_the_same(text: str, duration: timedelta) -> None:
    """A number and a unit; the largest unit that says it exactly."""
    assert DURATION.convert(text, None, None) == duration
    assert duration_text(duration) == text


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "0s", "1.5s", "1 s", "1S", "٣s", "1s\n", "36501d", "never", "1w"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message says how one is written."""
    with pytest.raises(click.BadParameter) as raised:
        DURATION.convert(text, None, None)
    assert repr(text) in raised.value.message


def test_bounds_are_the_policys_own() -> None:
    """What the options accept and the policy does not is refused by the policy."""
    with pytest.raises(InvalidInput, match="cost"):
        policy_from({"cost": -1})


def test_the_store_is_the_option_then_the_variable_then_research_db(tmp_path: Path) -> None:
    """The nearer to the command, the stronger; an option before the command's name beats the variable."""

    def made(*words: str, **env: str) -> set[str]:
        before = {path.name for path in tmp_path.glob("*.db")}
        assert CliRunner(env=env).invoke(cli, list(words)).exit_code == 0
        return {path.name for path in tmp_path.glob("*.db")} - before

    assert made("grant", "a", "1") == {"research.db"}
    assert made("grant", "a", "1", RESEARCH_FSM_STORE="b.db") == {"b.db"}
    assert made("--store", "c.db", "grant", "a", "1", RESEARCH_FSM_STORE="b.db") == {"c.db"}
    assert made("--store", "c.db", "grant", "a", "1", "--store", "d.db", RESEARCH_FSM_STORE="b.db") == {"d.db"}


def test_the_version_is_the_packages(program: Program) -> None:
    """``--version`` says what is installed."""
    assert program("--version").stdout == f"research-fsm, version {metadata.version('research-fsm')}\n"


def test_starting_imports_only_what_the_command_needs() -> None:
    """The help loads neither a driver nor rich nor a server; printing JSON does not load rich."""
    source = (
        "import sys\n"
        "from research_fsm.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "print(*sorted({'rich', 'sqlite3', 'sqlite_utils', 'starlette', 'uvicorn', 'asyncio'} & sys.modules.keys()))\n"
    )

    def loaded(*words: str) -> str:
        done = subprocess.run([sys.executable, "-c", source, *words], capture_output=True, text=True, check=True)  # noqa: S603  # Our own interpreter.
        return done.stdout.splitlines()[-1]

    assert loaded("--help") == ""
    assert "uvicorn" not in loaded("grant", "a", "1", "--json", "--store", "x.db")


def test_an_extra_that_is_not_installed_is_named(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = program("serve", "--port", "0")
    assert result.exit_code == 2
    assert "pip install 'research-fsm[serve]'" in result.stderr


def test_a_driver_that_is_not_installed_is_named() -> None:
    """A store on a server needs one, and a file does not."""
    source = "import sys; sys.modules['psycopg'] = None; from research_fsm.cli import main; main()"
    words = ("--store", "postgresql://host/app", "balance", "acme")
    done = subprocess.run([sys.executable, "-c", source, *words], capture_output=True, text=True, check=False)  # noqa: S603  # Our own interpreter.
    assert done.returncode == 2
    assert "pip install 'research-fsm[postgres]'" in done.stderr


# --- a pipeline by name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        ("", "made_up_research", "MODULE:FUNCTION"),
        ("", "made_up_research:", "MODULE:FUNCTION"),
        ("", "./research.py:run", "MODULE:FUNCTION"),
        ("", "no_such_module:run", "there is no module 'no_such_module'"),
        ("", "no_such_package.module:run", "there is no module 'no_such_package'"),
        ("", "made_up_research:run", "has no 'run'"),
        ("run = 5", "made_up_research:run", "is a int, not a function"),
        ("import no_such_dependency", "made_up_research:run", "No module named 'no_such_dependency'"),
        ("from json import nothing", "made_up_research:run", "cannot import name 'nothing'"),
        ("def run(:", "made_up_research:run", "SyntaxError"),
        ("raise RuntimeError('no key')", "made_up_research:run", "RuntimeError: no key"),
        ("raise SystemExit(3)", "made_up_research:run", "SystemExit: 3"),
    ],
)
def test_a_pipeline_that_cannot_be_had_says_why(
    program: Program, tmp_path: Path, source: str, name: str, words: str
) -> None:
    """Nothing is opened, and the reason is shown: also that of an import inside of it, with its place."""
    (tmp_path / "made_up_research.py").write_text(source)
    result = program("work", "--pipeline", name)
    assert result.exit_code == 2
    assert words in result.stderr
    assert ("made_up_research.py" in result.stderr) == (source.startswith(("import", "from", "def", "raise")))
    assert not program.store.exists()
    sys.modules.pop("made_up_research", None)


def test_a_pipeline_may_be_an_attribute_of_an_attribute() -> None:
    """A method of an object is a pipeline, too."""
    assert pipelines.load("os:path.join") is __import__("os").path.join


def test_the_current_directory_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed program finds a module beside the operator, as ``python -m`` does."""
    (tmp_path / "beside_me.py").write_text("def run(request): ...")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    assert callable(pipelines.load("beside_me:run"))
    assert sys.path[0] == ""
