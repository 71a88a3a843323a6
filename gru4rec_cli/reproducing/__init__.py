"""Published tables: run again, and compared with what was printed."""
