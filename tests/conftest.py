"""Whoever starts the suite in the background of a shell script ignores Ctrl-C; what the tests start must not."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
