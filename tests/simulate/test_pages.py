"""What the pages on testing show as printed is what their examples print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["test-your-service.md", "simulate.md"])
def test_what_is_shown_is_what_is_printed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A console block behind an example that prints; an ellipsis stands for the rest."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    printed, compared = "", 0
    for kind, text in BLOCK.findall((HOW_TO / page).read_text(encoding="utf-8")):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(text, namespace)  # noqa: S102  # The page's own example.
            printed = output.getvalue()
        elif not text.startswith("$"):
            shown, _, rest = text.partition("\n…\n")
            assert printed.startswith(shown)
            assert rest == "" or printed.endswith(rest)
            compared += 1
    assert compared == 1
