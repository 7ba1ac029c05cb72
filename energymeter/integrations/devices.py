"""Waiting for accelerators, so that work which is still queued belongs to whoever queued it."""

import sys


def sync_of_devices() -> None:
    """Wait for CUDA where this process uses it through PyTorch; else nothing is loaded or started."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
