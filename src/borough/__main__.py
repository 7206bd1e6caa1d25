"""``python -m borough``."""

from borough.cli.main import main

if __name__ == "__main__":
    main()
