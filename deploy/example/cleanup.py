"""A job: removes what is older than a day from /tmp."""

import pathlib
import time

for path in pathlib.Path("/tmp").iterdir():
    if path.is_file() and path.stat().st_mtime < time.time() - 86400:
        path.unlink()
        print(f"removed {path}")
