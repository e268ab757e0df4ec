"""Run the command line with ``python -m sqhw``."""

from sqhw.cli import main

if __name__ == "__main__":
    main()
