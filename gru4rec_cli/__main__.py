"""`python -m gru4rec_cli` is the same as the `gru4rec-study` command."""

from gru4rec_cli.cli import main

if __name__ == "__main__":
    main()
