"""``python -m borough.cli``."""

from borough.cli.main import main

if __name__ == "__main__":
    main()
