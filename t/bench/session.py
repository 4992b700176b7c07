"""Processes of a benchmark: started in a folder of the run, measured from outside, ended with it."""

import ctypes
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
OUT = BENCH / "out"
CONFIGS = BENCH / "configs"
HOST = "127.0.0.1"
NGINX_MODULES = ("/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules")


class BenchError(Exception):
    pass


def die_with_parent():
    """A driver that is killed outright takes what it started along (PR_SET_PDEATHSIG is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Session:
    """What one run has started and put on disk; `close` ends and removes it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-bench-"))
        self.processes = []
        self.origins = (free_port(), free_port())

    def start(self, argv, name):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                   start_new_session=True, preexec_fn=die_with_parent)
        log.close()
        self.processes.append(process)
        return process

    def log_of(self, name):
        logs = [self.folder / f"{name}.log"] + [Path(p) for p in glob.glob(f"{self.folder}/{name}/*.log")]
        return "\n".join(p.read_text(errors="replace")[-1500:].strip() for p in logs if p.exists()).strip()

    def stop(self, process, patience=5):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def close(self):
        for process in reversed(self.processes):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, patience):
    """True when something accepts on the port; False when the process has ended or the time is over."""
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.02)
    return False


def family(pid):
    """The process and all its descendants: nginx works in a child."""
    pids = [pid]
    for parent in pids:
        for children in glob.glob(f"/proc/{parent}/task/*/children"):
            pids += [int(child) for child in Path(children).read_text().split()]
    return pids


def cpu_of(pid):
    """Seconds of (user, system) ticks and the exact total of the whole process, all threads, children too.

    The kernel counts ticks for the two apart and run time for the total; the second is the exact one (man 2
    clock_getcpuclockid for the number of the clock)."""
    user = system = exact = 0.0
    tick = os.sysconf("SC_CLK_TCK")
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        user += int(fields[11]) / tick
        system += int(fields[12]) / tick
        exact += time.clock_gettime_ns((~member << 3) | 2) / 1e9
    return user, system, exact


def find_binary(name):
    """Where a daemon of Debian's is, also for a user whose PATH lacks the folders of root; "" where it isn't."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin") or ""


def nginx_modules():
    for folder in NGINX_MODULES:
        if Path(folder, "ngx_http_lua_module.so").exists():
            return folder
    return None


def compile_programs(names):
    folder = OUT / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", folder / name,
                        BENCH / f"{name}.c"], check=True)
    return {name: str(folder / name) for name in names}


def say(text):
    print(text, file=sys.stderr, flush=True)
