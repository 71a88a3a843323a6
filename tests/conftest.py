"""Shared by all tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; before torch is loaded

# Tests hold bit for bit: they train on the CPU also where there is a GPU. Those of the GPU say how to show it to them.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch

# Tiny products are slower on several threads.
torch.set_num_threads(1)
