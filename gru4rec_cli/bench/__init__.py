"""Speed and memory, beside the author's code and the matrix products alone: `gru4rec-study bench`."""
