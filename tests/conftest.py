"""Shared by all tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; before torch is loaded

import torch

# Tiny products are slower on several threads.
torch.set_num_threads(1)
