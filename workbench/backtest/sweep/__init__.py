"""Sweeps: one strategy with many parameters, evaluated by fused kernels that equal the reference engine."""
