"""Signals during calls into C code that calls back into Python."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def postponed_interrupts() -> Iterator[None]:
    """Postpone Ctrl-C, and whatever else a signal's handler raises, to the end of the block.

    An exception that is raised inside a callback from C is printed and forgotten: openSMILE would go on with a part of
    its result, and the interrupt would be lost. Only the main thread handles signals; elsewhere this does nothing.

    Raises:
        KeyboardInterrupt: If Ctrl-C was pressed within the block; likewise what other handlers raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda *details: received.append(details))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in received:
            handlers[number](number, frame)
