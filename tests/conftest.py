"""Shared by all tests."""

import torch

# Tiny products are slower on several threads, and a colleague's load must not decide whether a test is in time.
torch.set_num_threads(1)
