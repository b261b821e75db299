"""``python -m mmx``."""

from mmx.cli.main import main

if __name__ == "__main__":
    main()
