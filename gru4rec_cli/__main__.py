"""`python -m gru4rec_cli` is the same as the `gru4rec-study` command."""

import sys

from gru4rec_cli.base.streams import end_at_once_on_interrupt, ignore_interrupt, prepare_streams


def main() -> None:
    """Run `gru4rec-study`. What takes time to load comes after streams and Ctrl-C have been seen to."""
    end_at_once_on_interrupt()
    prepare_streams()
    from gru4rec_cli.cli import run

    code = run()
    ignore_interrupt()
    sys.exit(code)


if __name__ == "__main__":
    main()
