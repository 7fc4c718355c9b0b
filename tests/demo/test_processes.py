"""Children that never outlive the demonstration."""

import os
import queue
import signal
import sys
from pathlib import Path

import pytest

from research_fsm.demo.processes import Child, DemoFailed, Heard, Processes, until
from research_fsm.demo.signals import Stopped, shield, stoppable

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
PARENT = (
    sys.executable,
    "-c",
    """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
""",
)
POLITE = (
    sys.executable,
    "-c",
    """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("up", flush=True)
time.sleep(600)
""",
)
DEAF = (
    sys.executable,
    "-c",
    """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
""",
)


def is_up(child: Child) -> None:
    """Wait until a child has written something."""
    until("it should be up", lambda: child.output() or None, seconds=20.0, child=child)


def is_alive(pid: int) -> bool:
    """Tell whether there is a process that is not merely waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_leaving_kills_what_is_left(tmp_path: Path) -> None:
    """Whatever was started is gone afterwards, also when an error is on its way."""
    processes = Processes(tmp_path)
    child = processes.start("sleeper", SLEEPER)
    assert processes.left == ["sleeper"]
    with pytest.raises(KeyError), processes:
        raise KeyError
    assert child.popen.returncode == -signal.SIGKILL
    assert processes.left == []


def test_killing_takes_what_the_process_started_itself(tmp_path: Path) -> None:
    """``kill -9`` reaches the whole process group, so that no grandchild is left."""
    with Processes(tmp_path) as processes:
        child = processes.start("parent", PARENT)
        is_up(child)
        grandchild = int(child.output())
        assert is_alive(grandchild)
        child.kill()
        until("the grandchild should be gone", lambda: not is_alive(grandchild), seconds=20.0)


def test_what_is_left_includes_a_grandchild(tmp_path: Path) -> None:
    """A process that is gone itself, but left one behind, counts as left."""
    with Processes(tmp_path) as processes:
        child = processes.start("parent", PARENT)
        is_up(child)
        grandchild = int(child.output())
        os.kill(child.popen.pid, signal.SIGKILL)
        child.popen.wait()
        assert processes.left == ["parent"]
        os.kill(grandchild, signal.SIGKILL)
        until("the grandchild should be gone", lambda: not is_alive(grandchild), seconds=20.0)


def test_ending_asks_first_and_insists_then(tmp_path: Path) -> None:
    """A child that listens ends in its own way; one that does not is killed when its time is over."""
    with Processes(tmp_path) as processes:
        children = [processes.start("polite", POLITE), processes.start("deaf", DEAF)]
        for child in children:
            is_up(child)
        children[0].stop(20.0)
        children[1].stop(0.05)
    assert [child.popen.returncode for child in children] == [7, -signal.SIGKILL]


def test_a_child_is_heard_line_by_line(tmp_path: Path) -> None:
    """Its lines arrive as they come, and None when it has ended; it is spoken to by its standard input."""
    heard: Heard = queue.SimpleQueue()
    echo = (sys.executable, "-c", "print('ready', flush=True); print(input() + '!')")
    with Processes(tmp_path) as processes:
        child = processes.start("echo", echo, heard=heard)
        assert heard.get(timeout=20.0) == (child, "ready")
        child.send("go")
        assert heard.get(timeout=20.0) == (child, "go!")
        assert heard.get(timeout=20.0) == (child, None)


def test_speaking_to_a_child_that_is_gone_says_what_it_wrote(tmp_path: Path) -> None:
    """The demonstration cannot go on, and the reason is shown."""
    heard: Heard = queue.SimpleQueue()
    with Processes(tmp_path) as processes:
        child = processes.start("broken", (sys.executable, "-c", "raise SystemExit('no luck')"), heard=heard)
        assert heard.get(timeout=20.0) == (child, None)
        with pytest.raises(DemoFailed, match=r"broken is gone\nno luck"):
            child.send("go")


def test_settings_of_the_environment_do_not_reach_the_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set for the program, such as a price, does not change what is shown; what we set does."""
    monkeypatch.setenv("RESEARCH_FSM_COST", "5")
    monkeypatch.setenv("OF_THE_USER", "kept")
    show = (sys.executable, "-c", "import os; print([name for name in os.environ if name.isupper()])")
    with Processes(tmp_path) as processes:
        child = processes.start("show", show, env={"RESEARCH_FSM_DEMO_SECONDS": "1"})
        child.popen.wait(20.0)
    assert "RESEARCH_FSM_COST" not in child.output()
    assert "OF_THE_USER" in child.output()
    assert "RESEARCH_FSM_DEMO_SECONDS" in child.output()


def test_waiting_ends_with_what_was_seen() -> None:
    """It looks again until there is something; nothing and False are not yet something, 0 is."""
    looks = iter([None, False, 0])
    assert until("it should come", lambda: next(looks), seconds=20.0) == 0


def test_waiting_gives_up_in_time() -> None:
    """A bounded wait names what did not come."""
    with pytest.raises(DemoFailed, match=r"^the moon should rise: not within 0.01 s$"):
        until("the moon should rise", lambda: None, seconds=0.01)


def test_waiting_for_a_child_that_died_gives_up_at_once(tmp_path: Path) -> None:
    """A server that does not start is shown with its exit code and what it wrote, long before the time is over."""
    with Processes(tmp_path) as processes:
        child = processes.start("server", (sys.executable, "-c", "raise SystemExit('the port is taken')"))
        with pytest.raises(DemoFailed, match=r"it should listen: server ended with 1\nthe port is taken"):
            until("it should listen", lambda: None, seconds=600.0, child=child)


def test_what_a_child_did_at_the_last_moment_is_seen(tmp_path: Path) -> None:
    """A child that has ended may still have done what was waited for."""
    with Processes(tmp_path) as processes:
        child = processes.start("quick", (sys.executable, "-c", "print('done')"))
        child.popen.wait(20.0)
        assert until("it should be done", lambda: child.output().strip() or None, seconds=20.0, child=child) == "done"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_what_is_stoppable(signum: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a terminal that went away all come as one exception, and only inside."""
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signum)
    assert stopped.value.signum == signum
    assert signal.getsignal(signum) == before


def test_a_signal_waits_behind_a_shield() -> None:
    """What must not be torn is finished first, however deep; then the signal comes."""
    finished: list[str] = []

    def work() -> None:
        with stoppable(), shield():
            with shield():
                signal.raise_signal(signal.SIGTERM)
                finished.append("inner")
            finished.append("outer")

    with pytest.raises(Stopped):
        work()
    assert finished == ["inner", "outer"]
    with stoppable(), shield():
        finished.append("no signal is left over")
