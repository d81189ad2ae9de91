"""usage: bare-criu.py PORT ROUNDS

What plain `criu dump` and `criu restore` of the echo server cost on one host, with one connection
and images in memory: the floor under a move. Prints a JSON list of [dump, restore], milliseconds.
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
COMMON = ["--tcp-established", "--network-lock", "skip", "--manage-cgroups=ignore", "--file-locks"]
SETTLE_S = 0.2


def timed(verb, *words):
    begin = time.monotonic()
    log = ["-v2", "-o", f"{verb}.log", "--images-dir", IMAGES]
    subprocess.run(["criu", verb, *log, *COMMON, *words], check=True)
    return (time.monotonic() - begin) * 1000


def main():
    port, rounds = int(sys.argv[1]), int(sys.argv[2])
    null = subprocess.DEVNULL
    server = subprocess.Popen(
        [SERVER, str(port)], stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    try:
        time.sleep(SETTLE_S)
        peer = socket.create_connection(("127.0.0.1", port), timeout=5)
        costs = []
        for turn in range(rounds):
            os.makedirs(IMAGES)
            dump = timed("dump", "--tree", str(server.pid), "--skip-in-flight", "--link-remap")
            if turn == 0:
                server.wait()  # later ones belong to the host's init, which reaps
            time.sleep(SETTLE_S)
            costs.append([dump, timed("restore", "--restore-detached")])
            peer.sendall(b"alive")
            assert peer.recv(5) == b"alive"
            shutil.rmtree(IMAGES)
        print(json.dumps(costs))
    finally:
        os.kill(server.pid, signal.SIGKILL)
        shutil.rmtree(IMAGES, ignore_errors=True)


main()
