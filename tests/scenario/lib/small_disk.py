"""A file system of its own that is soon full."""
import os

from lib.process import run


def small_disk(case, size):
    """Its folder, mounted until the test is over; where nothing can be mounted the test is skipped."""
    small = case.folder() / f"small{len(os.listdir(case.folder()))}"
    small.mkdir()
    code, _, err = run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small])
    if code != 0:
        case.skipTest(f"no small file system can be mounted here: {err}")
    case.addCleanup(run, ["umount", "-l", small])
    return small
