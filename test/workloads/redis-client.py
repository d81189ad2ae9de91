"""usage: redis-client.py ADDRESS PORT

Pipelines INCR on one connection to redis, DEPTH commands on their way at a time, until its standard
input ends. Each answer must be the next number. Prints how many were acknowledged and what the
counter then is.
"""

import json
import select
import socket
import sys

DEPTH = 50
ANSWER_S = 20.0


def main():
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=ANSWER_S)
    lines = sock.makefile("rb")
    acknowledged, wrong = 0, 0
    print("ready", flush=True)
    while True:
        sock.sendall(b"INCR counter\r\n" * DEPTH)
        for _ in range(DEPTH):
            acknowledged += 1
            wrong += lines.readline() != b":%d\r\n" % acknowledged
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    sock.sendall(b"GET counter\r\nDBSIZE\r\n")
    lines.readline()
    counter = int(lines.readline())
    keys = int(lines.readline()[1:])
    answer = {"acknowledged": acknowledged, "wrong": wrong, "counter": counter, "keys": keys}
    print(json.dumps(answer))


main()
