"""How fast it is, beside the author's code and beside what the machine could do at best: `gru4rec-study bench`."""
