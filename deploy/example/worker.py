"""A worker with a heart: it says by its file that it gets on with its work."""

import json
import os
import pathlib
import signal
import sys
import time

CHECK = json.loads(os.environ.get("NCOLONY_CONFIG", "{}")).get("ncolony.beatcheck")


def end(_signal, _frame):
    print("the last job is done")
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
while True:
    if CHECK:
        pathlib.Path(CHECK["status"]).touch()
    print("a job is done")
    time.sleep(CHECK["period"] / 3 if CHECK else 3)
