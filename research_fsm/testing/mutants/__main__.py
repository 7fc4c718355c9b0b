"""Prints the page of laws and mutants; with ``--search``, what the searches find otherwise than it says.

``python -m research_fsm.testing.mutants > docs/reference/laws.md``
"""

import sys

from research_fsm.testing.mutants import MUTANTS
from research_fsm.testing.mutants.page import page
from research_fsm.testing.mutants.search import differences


def main(words: list[str]) -> int:
    """Do it; 1 if something is found otherwise."""
    if words != ["--search"]:
        sys.stdout.write(page(MUTANTS))
        return 0
    found = False
    for difference in differences(MUTANTS):
        found = True
        sys.stdout.write(f"{difference}\n")
    return int(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
