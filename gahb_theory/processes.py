"""Processes and signals: joining the group that torchrun set up, and ending only between two steps."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

__all__ = ["Interrupt", "interrupts_deferred", "processes"]


class Interrupt:
    """A signal that waits for the end of a step."""

    received: int | None = None

    def __call__(self, number: int, frame: object) -> None:
        """Note the signal."""
        if self.received is not None:  # the second time at once
            raise KeyboardInterrupt
        self.received = number

    def raise_if_received(self) -> None:
        """End the program as the signal asked."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received is not None:
            raise SystemExit(128 + self.received)


@contextmanager
def interrupts_deferred() -> Iterator[Interrupt]:
    """Let Ctrl-C and SIGTERM wait until the running step is whole, so that the checkpoint written then is exact."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Rank and number of processes; joins the group that torchrun set up, if there is one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield 0, 1
        return
    joined = not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank(), world
    finally:
        if joined:
            dist.destroy_process_group()
