"""Training as torch operations of fixed shapes, for accelerators; on CUDA a step is recorded once and replayed.

The CPU has a step of its own, by hand (`stepping`). What an epoch's tail makes narrower there is masked here: always B
lanes, those that are gone show the padding row V of the item matrices.
"""
