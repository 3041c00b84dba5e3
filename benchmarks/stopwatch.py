"""Measures one command from a process of its own, too small to show in what it measures.

    python -I -S stopwatch.py LOG COMMAND...   ->   {"wall_s": ..., "cpu_s": ..., "peak_kib": ...}

A process begins its life with its parent's memory, and Linux counts that into its peak: started by
a benchmark, `true` would seem to need what the benchmark needs. So a benchmark starts this file
with a bare interpreter, and this file starts the command, whose output goes nowhere and whose
errors go to LOG.

`--tree` before LOG adds up the memory of the command and all its children 100 times a second
instead, each shared page counted once; that takes time from the command, so it is not timed then.
Source: Linux manual pages wait4(2), getrusage(2), proc_pid_smaps(5).
"""

# ruff: noqa: PTH123, PTH208 - pathlib would double what this process needs

import os
import sys
import time

TREE_INTERVAL_S = 0.01


def main() -> None:
    measures_tree = sys.argv[1] == "--tree"
    log, *command = sys.argv[2 if measures_tree else 1 :]
    nowhere = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    redirections = [
        (os.POSIX_SPAWN_DUP2, to, number) for number, to in enumerate([nowhere, nowhere, errors])
    ]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=redirections)
    peak_kib = watch_tree(pid) if measures_tree else 0
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.perf_counter() - began
    cpu_s = usage.ru_utime + usage.ru_stime
    print(f'{{"wall_s": {wall_s}, "cpu_s": {cpu_s}, "peak_kib": {peak_kib or usage.ru_maxrss}}}')
    sys.exit(os.waitstatus_to_exitcode(status) != 0)


def watch_tree(pid: int) -> int:
    """Give the most memory that the process and its children had together, until it ended."""
    peak_kib = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak_kib = max(peak_kib, tree_kib(pid))
        time.sleep(TREE_INTERVAL_S)
    return peak_kib


def tree_kib(pid: int, kind: str = "Pss") -> int:
    """Add up the memory of a process and its children; one that just ended has none.

    Pss counts a page that several processes share once, also if some are not of this tree; Rss
    counts it for each, and does not depend on what else runs on the machine.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            own = next(int(line.split()[1]) for line in rollup if line.startswith(f"{kind}:"))
        threads = os.listdir(f"/proc/{pid}/task")
        children = []
        for thread in threads:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                children += file.read().split()
    except (OSError, StopIteration):
        return 0
    return own + sum(tree_kib(int(child), kind) for child in children)


if __name__ == "__main__":
    main()
