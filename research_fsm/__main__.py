"""The command line, as ``python -m research_fsm``. Floor 6."""

from research_fsm.cli import main

if __name__ == "__main__":
    main()
