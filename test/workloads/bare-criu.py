"""usage: bare-criu.py PORT ROUNDS

What plain `criu dump` and `criu restore` of the echo server cost on one host, with one connection
and images in memory, in namespaces of its own as a job has them: the floor under a move. Prints a
JSON list of [dump, restore], milliseconds.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

IMAGES = "/dev/shm/bare-criu"
SERVER = "/shared/workloads/echo-server"
PIDFILE = "/dev/shm/bare-criu.pid"
COMMON = ["--tcp-established", "--network-lock", "skip", "--manage-cgroups=ignore", "--file-locks"]
COMMON += ["--external", "mnt[]:ms"]
SETTLE_S = 0.2
# What a job is made of: its PIDs are its own, and it sees no mount that only this host has.
APART = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--propagation", "private", "--"]
INSIDE = """
while read -r _ path _; do
  case "$path" in /run/*) umount -l "$path" ;; esac
done </proc/self/mounts
umount -l /proc
mount -t proc -o nosuid,nodev,noexec proc /proc
exec "$@" </dev/null >/dev/null 2>&1
"""


def timed(verb, *words):
    begin = time.monotonic()
    log = ["-v2", "-o", f"{verb}.log", "--images-dir", IMAGES]
    subprocess.run(["criu", verb, *log, *COMMON, *words], check=True)
    return (time.monotonic() - begin) * 1000


def main():
    port, rounds = int(sys.argv[1]), int(sys.argv[2])
    words = [*APART, "setsid", "sh", "-c", INSIDE, "bare-criu", SERVER, str(port)]
    parent = subprocess.Popen(words, start_new_session=True)
    server = None
    try:
        time.sleep(SETTLE_S)
        with open(f"/proc/{parent.pid}/task/{parent.pid}/children") as children:
            server = int(children.read())
        peer = socket.create_connection(("127.0.0.1", port), timeout=5)
        costs = []
        for turn in range(rounds):
            os.makedirs(IMAGES)
            dump = timed("dump", "--tree", str(server), "--skip-in-flight", "--link-remap")
            if turn == 0:
                parent.wait()  # later ones belong to the host's init, which reaps
            time.sleep(SETTLE_S)
            place = ["--root", "/", "--pidfile", PIDFILE]
            costs.append([dump, timed("restore", "--restore-detached", *place)])
            with open(PIDFILE) as pidfile:
                server = int(pidfile.read())
            os.remove(PIDFILE)
            peer.sendall(b"alive")
            assert peer.recv(5) == b"alive"
            shutil.rmtree(IMAGES)
        print(json.dumps(costs))
    finally:
        os.kill(server or parent.pid, signal.SIGKILL)
        shutil.rmtree(IMAGES, ignore_errors=True)


main()
