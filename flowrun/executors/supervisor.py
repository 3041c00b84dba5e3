"""The process that starts every job of one flowrun and outlives none of them.

Run as a script by `local.py`, with a bare interpreter (`python -I -S`) and a socket as its
standard input. It is small, so starting a job from it is quick and adds little to the job's
measured memory, and it is the *subreaper* of all that it starts (`prctl(2)`): a daemon that a job
leaves behind becomes its child and is found and ended. When flowrun goes away, for whatever reason,
the socket closes and every job's whole process tree is killed at once. When the supervisor itself
is killed, the kernel kills the jobs (`PR_SET_PDEATHSIG`).

Wire: four bytes of length (big-endian), then JSON. In: `start` (two file descriptors ride on the
length: stdout and stderr), `cancel`, `watch`, `release`. Out: `started`, `ended`, `failed`.
Standard library only, and few modules of it: the start of this process is on every run's path.
"""

from __future__ import annotations

import array
import ctypes
import errno
import json
import os
import selectors
import signal
import socket
import sys
import time
import warnings as _warnings  # noqa: F401 - execvpe wants it, in every forked child

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
JOB_VARIABLE = "FLOWRUN_JOB_ID"
SAMPLE_INTERVAL_S = 0.5
ORPHAN_GRACE_S = 0.2
"""What a job leaves running gets this long to end by itself before it is asked to."""
KILL_GRACE_S = 2.0
"""And this long between being asked and being killed."""
REMOVAL_TIMEOUT_S = 30.0
"""An engine gets this long to remove a container."""
RESTORED_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
"""Ignored here or by Python itself; a job starts with the default."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_libc = ctypes.CDLL(None, use_errno=True)


class Job:
    """What is known of one running job."""

    def __init__(self, job_id: str, pid: int, grace_s: float, timeout_s: float | None) -> None:
        self.id = job_id
        self.pid = pid
        self.grace_s = grace_s
        self.timeout_at = None if timeout_s is None else time.monotonic() + timeout_s
        self.timed_out = False
        self.oom_kills = _oom_kills()
        self.start_ms = _now_ms()
        self.peak_bytes = 0
        self.orphan_cpu_s = 0.0
        self.was_cancelled = False
        self.kill_at: float | None = None
        """When to stop asking and kill (monotonic)."""
        self.ended: dict[str, object] | None = None
        """The outcome, once the leader has ended but some of its tree has not."""
        self.term_at: float | None = None


class Supervisor:
    """The loop: requests, ended children, deadlines, samples."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.jobs: dict[str, Job] = {}
        self.leaders: dict[int, Job] = {}
        self.orphans: dict[int, Job] = {}
        self.containers: dict[str, str] = {}
        """Id of each container to watch, to the socket of its engine."""
        self.selector = selectors.DefaultSelector()
        self.next_sample = 0.0

    def run(self) -> None:
        """Serve until the other end goes away; leave nothing behind."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self.selector.register(self.control, selectors.EVENT_READ)
        self.selector.register(wake_read, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self.selector.select(self._timeout()):
                    if key.fileobj is self.control:
                        self._take_request()
                    else:
                        _drain(wake_read)
                self._reap()
                self._act_on_deadlines()
        except (EOFError, ConnectionError, BrokenPipeError):
            removals = _begin_removals(self.containers)
            _kill_everything()
            _end_removals(removals)

    def _timeout(self) -> float | None:
        """Seconds until something is due; None: only an event can wake us."""
        if not self.jobs:
            return None
        due = [self.next_sample]
        for job in self.jobs.values():
            due += [at for at in (job.kill_at, job.term_at, job.timeout_at) if at is not None]
        return max(0.0, min(due) - time.monotonic())

    def _take_request(self) -> None:
        request, fds = _receive(self.control)
        match request["op"]:
            case "start":
                self._start(request, fds)
            case "cancel":
                self._cancel(str(request["id"]), force=bool(request["force"]))
            case "watch":
                self.containers[str(request["id"])] = str(request["engine"])
            case _:
                self.containers.pop(str(request["id"]), None)

    def _start(self, request: dict[str, object], fds: list[int]) -> None:
        job_id = str(request["id"])
        try:
            pid = _spawn(request, fds)
        except OSError as error:
            _send(
                self.control, {"event": "failed", "id": job_id, "why": error.strerror or str(error)}
            )
            return
        finally:
            for fd in fds:
                os.close(fd)
        if not self.jobs:
            self.next_sample = time.monotonic() + SAMPLE_INTERVAL_S
        timeout_s = request["timeout_s"]
        job = Job(
            job_id,
            pid,
            float(str(request["grace_s"])),
            None if timeout_s is None else float(str(timeout_s)),
        )
        self.jobs[job_id] = self.leaders[pid] = job
        _send(self.control, {"event": "started", "id": job_id, "pid": pid})

    def _cancel(self, job_id: str, *, force: bool) -> None:
        job = self.jobs.get(job_id)
        if job is None:
            return
        job.was_cancelled = True
        self._end(job, force=force)

    def _end(self, job: Job, *, force: bool) -> None:
        members = self._members(job, _processes())
        _signal_all(members, signal.SIGKILL if force else signal.SIGTERM)
        job.timeout_at = None
        job.kill_at = time.monotonic() + (0.0 if force else job.grace_s)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            cpu_s = usage.ru_utime + usage.ru_stime
            job = self.leaders.pop(pid, None)
            if job is None:
                orphan_of = self.orphans.pop(pid, None)
                if orphan_of is not None:
                    orphan_of.orphan_cpu_s += cpu_s
                continue
            job.timeout_at = None
            job.ended = {
                "event": "ended",
                "id": job.id,
                "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                "start_ms": job.start_ms,
                "end_ms": _now_ms(),
                "cpu_s": cpu_s,
                "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            }
        for job in [job for job in self.jobs.values() if job.ended is not None]:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        """Report an ended job once nothing of its tree is left."""
        if not self._may_have_members(job) or not (members := self._members(job, _processes())):
            outcome = job.ended
            assert outcome is not None  # noqa: S101 - a promise of _reap
            outcome["cpu_s"] = float(str(outcome["cpu_s"])) + job.orphan_cpu_s
            outcome["peak_bytes"] = max(int(str(outcome["peak_bytes"])), job.peak_bytes)
            outcome["was_cancelled"] = job.was_cancelled
            outcome["timed_out"] = job.timed_out
            outcome["out_of_memory"] = _was_out_of_memory(job)
            del self.jobs[job.id]
            _send(self.control, outcome)
            return
        self.orphans.update(dict.fromkeys(members, job))
        if job.term_at is None and job.kill_at is None:
            job.term_at = time.monotonic() + ORPHAN_GRACE_S

    def _may_have_members(self, job: Job) -> bool:
        """Look quickly, without a walk over all processes, whether anything can be left of it."""
        try:
            os.killpg(job.pid, 0)
        except ProcessLookupError:
            pass
        except PermissionError:
            return True
        else:
            return True
        children = _children()
        return children is None or any(child not in self.leaders for child in children)

    def _act_on_deadlines(self) -> None:
        now = time.monotonic()
        for job in list(self.jobs.values()):
            if job.timeout_at is not None and now >= job.timeout_at:
                job.timed_out = True
                self._end(job, force=False)
            if job.term_at is not None and now >= job.term_at:
                _signal_all(self._members(job, _processes()), signal.SIGTERM)
                job.term_at, job.kill_at = None, now + KILL_GRACE_S
            elif job.kill_at is not None and now >= job.kill_at:
                _signal_all(self._members(job, _processes()), signal.SIGKILL)
                job.kill_at = now + 0.05
            if job.ended is not None:
                self._finish(job)
        if self.jobs and now >= self.next_sample:
            self._sample()
            self.next_sample = now + SAMPLE_INTERVAL_S

    def _sample(self) -> None:
        processes = _processes()
        for job in self.jobs.values():
            members = self._members(job, processes)
            job.peak_bytes = max(job.peak_bytes, sum(processes[pid][3] for pid in members))

    def _members(self, job: Job, processes: dict[int, tuple[int, int, int, int]]) -> list[int]:
        """The live processes of a job: descendants, its session, and orphans that carry its id."""
        mine = os.getpid()
        found: list[int] = []
        below = {job.pid}
        for pid in _top_down(processes):
            parent, group, session, _ = processes[pid]
            is_member = (
                pid in below
                or parent in below
                or job.pid in (group, session)
                or (parent == mine and pid not in self.leaders and _carries(pid, job.id))
            )
            if is_member:
                below.add(pid)
                found.append(pid)
        return found


def _spawn(request: dict[str, object], fds: list[int]) -> int:
    """Fork and exec; raise the OSError that stopped the exec."""
    argv = [str(word) for word in _list(request["argv"])]
    variables = {str(k): str(v) for k, v in _dict(request["variables"]).items()}
    error_read, error_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(argv, str(request["directory"]), variables, fds, error_write)
    os.close(error_write)
    report = os.read(error_read, 16)
    os.close(error_read)
    if report:
        os.waitpid(pid, 0)
        number = int(report)
        raise OSError(number, f"{argv[0]}: {os.strerror(number)}")
    return pid


def _become(
    argv: list[str], directory: str, variables: dict[str, str], fds: list[int], error_fd: int
) -> None:
    """Turn this forked child into the job; never returns."""
    try:
        os.setsid()
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        for number in RESTORED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.chdir(directory)
        os.execvpe(argv[0], argv, variables)  # noqa: S606 - the step's own command line
    except OSError as error:
        os.write(error_fd, str(error.errno or errno.EIO).encode())
    except ValueError:  # a NUL in a word or a variable
        os.write(error_fd, str(errno.EINVAL).encode())
    finally:
        os._exit(127)


def _processes() -> dict[int, tuple[int, int, int, int]]:
    """All live processes: pid to (parent, group, session, resident bytes)."""
    found: dict[int, tuple[int, int, int, int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is slow
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                text = file.read()
        except OSError:
            continue
        # The command name may hold anything, also ")" and spaces: fields count from its last ")".
        fields = text[text.rindex(b")") + 2 :].split()
        if fields[0] not in (b"Z", b"X"):
            resident = int(fields[21]) * PAGE_BYTES
            found[int(name)] = (int(fields[1]), int(fields[2]), int(fields[3]), resident)
    return found


def _oom_kills() -> int | None:
    """How many processes this machine's kernel has killed for want of memory; None: unknown."""
    try:
        with open("/proc/vmstat", "rb") as file:  # noqa: PTH123
            _, _, rest = file.read().partition(b"\noom_kill ")
        return int(rest.split(b"\n", 1)[0])
    except (OSError, ValueError):
        return None


def _was_out_of_memory(job: Job) -> bool:
    """Whether a job was killed, by nobody here, while the kernel killed for want of memory."""
    ended = job.ended
    if ended is None or job.was_cancelled or job.timed_out or job.oom_kills is None:
        return False
    # A shell tells of its command's signal by an exit code.
    was_killed = ended["signal"] == signal.SIGKILL or ended["exit_code"] == 128 + signal.SIGKILL
    return was_killed and (_oom_kills() or 0) > job.oom_kills


def _top_down(processes: dict[int, tuple[int, int, int, int]]) -> list[int]:
    """Order pids so that a parent comes before its children (pids wrap: sorting won't do)."""
    children: dict[int, list[int]] = {}
    for pid, (parent, *_) in processes.items():
        children.setdefault(parent, []).append(pid)
    order: list[int] = []
    todo = [pid for pid, (parent, *_) in processes.items() if parent not in processes]
    while todo:
        pid = todo.pop()
        order.append(pid)
        todo += children.get(pid, ())
    return order


def _children() -> list[int] | None:
    """Direct children of this process, zombies included; None where the kernel does not say."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:  # noqa: PTH123
            return [int(word) for word in file.read().split()]
    except OSError:
        return None


def _carries(pid: int, job_id: str) -> bool:
    """Whether a process was started with this job's id among its variables."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return f"{JOB_VARIABLE}={job_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def _signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:  # it ended between the look and the signal
            continue


def _kill_everything() -> None:
    """End all descendants; new orphans become ours, so this ends when there are no children."""
    mine = os.getpid()
    while _children() != []:
        below = {mine}
        processes = _processes()
        for pid in _top_down(processes):
            if processes[pid][0] in below:
                below.add(pid)
        _signal_all([pid for pid in below if pid != mine], signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _begin_removals(containers: dict[str, str]) -> list[socket.socket]:
    """Ask engines to kill and remove containers; their answers are still to come."""
    asked: list[socket.socket] = []
    for container_id, engine in containers.items():
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(REMOVAL_TIMEOUT_S)
        path = f"/containers/{container_id}?force=true&v=true"
        try:
            connection.connect(engine)
            connection.sendall(f"DELETE {path} HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
        except OSError:  # the engine is gone too; what it left, the next flowrun removes
            connection.close()
        else:
            asked.append(connection)
    return asked


def _end_removals(asked: list[socket.socket]) -> None:
    """Wait for the answers: an engine may give up a request whose caller goes away."""
    for connection in asked:
        with connection:
            try:
                connection.recv(4096)
            except OSError:
                continue


def _send(control: socket.socket, message: dict[str, object]) -> None:
    body = json.dumps(message).encode()
    control.sendall(len(body).to_bytes(4, "big") + body)


def _receive(control: socket.socket) -> tuple[dict[str, object], list[int]]:
    fds = array.array("i")
    head, ancillary, *_ = control.recvmsg(
        4, socket.CMSG_LEN(2 * fds.itemsize), getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    while len(head) < 4:
        head += _some(control, 4 - len(head))
    size, parts = int.from_bytes(head, "big"), bytearray()
    while len(parts) < size:
        parts += _some(control, size - len(parts))
    return json.loads(bytes(parts)), list(fds)


def _some(control: socket.socket, size: int) -> bytes:
    data = control.recv(size)
    if not data:
        raise EOFError
    return data


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """Take over the socket on standard input and serve."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Supervisor(control).run()
    os._exit(0)  # nothing is left to take apart, and flowrun waits for this end


if __name__ == "__main__":
    main()
