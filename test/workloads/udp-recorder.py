"""usage: udp-recorder.py PORT

Records the numbered datagrams that it gets, and echoes each. The datagram "missing N" is answered
with the JSON list of the numbers below N that never came, "twice" with how many came again.
"""

import json
import socket
import sys

MISSING_MAX = 200
# What comes at once when the held packets are released must fit (socket(7)).
SO_RCVBUFFORCE = 33


def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.bind(("0.0.0.0", int(sys.argv[1])))
    got, twice = set(), 0
    while True:
        data, sender = sock.recvfrom(100)
        words = data.split()
        if words[0] == b"missing":
            lost = [number for number in range(int(words[1])) if number not in got]
            data = json.dumps({"missing": lost[:MISSING_MAX], "count": len(lost), "twice": twice})
            sock.sendto(data.encode(), sender)
            continue
        number = int(words[0])
        twice += number in got
        got.add(number)
        sock.sendto(data, sender)


main()
