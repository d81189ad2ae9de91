"""usage: udp-client.py ADDRESS PORT

Sends a numbered datagram every millisecond to udp-recorder.py until its standard input ends. Then
prints what the recorder never got, with the instant on the monotonic clock (ms) at which each of
them was sent, and how many echoes did not come back.
"""

import json
import select
import socket
import sys
import time

STEP_S = 0.001
LAST_WORDS_S = 5.0
# The echoes of all that was held come at once (socket(7)).
SO_RCVBUFFORCE = 33


def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    start = time.monotonic()
    sent_at, echoed, refused = [], set(), 0
    longest, heard = 0.0, start
    print("ready", flush=True)
    while True:
        due = start + (len(sent_at) + 1) * STEP_S
        readable, _, _ = select.select([sock, sys.stdin], [], [], max(0.0, due - time.monotonic()))
        now = time.monotonic()
        try:
            if sock in readable:
                echoed.add(int(sock.recv(100)))
                longest, heard = max(longest, now - heard), now
            elif now >= due:
                sent_at.append(now)
                sock.send(b"%d" % (len(sent_at) - 1))
        except ConnectionRefusedError:
            refused += 1
        if sys.stdin in readable:
            break
    time.sleep(0.5)
    report = ask(sock, len(sent_at), echoed)
    missing = [[number, sent_at[number] * 1000] for number in report.pop("missing")]
    figures = {"sent": len(sent_at), "unanswered": len(sent_at) - len(echoed), "refused": refused}
    print(json.dumps({**report, **figures, "missing": missing, "longestMs": longest * 1000}))


def ask(sock, count, echoed):
    """Echoes that are still on their way come before the report."""
    sock.settimeout(LAST_WORDS_S)
    sock.send(b"missing %d" % count)
    while True:
        data = sock.recv(65536)
        if data.startswith(b"{"):
            return json.loads(data)
        echoed.add(int(data))


main()
