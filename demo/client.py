# A client of a web server: asks again and again on one connection, and prints each answer as a
# line of JSON. Ends when its standard input does. Reconnects when it must, and says so.
#
# usage: client.py ADDRESS PAGE PAUSE_SECONDS
import http.client
import json
import select
import sys
import time

ADDRESS, PAGE, PAUSE = sys.argv[1], sys.argv[2], float(sys.argv[3])
PATIENCE_SECONDS = 10


class Connection(http.client.HTTPConnection):
    made = 0

    def connect(self):
        super().connect()
        self.made += 1


def mac_of(address):
    """Who the network says has the address: the host that the job is on."""
    with open("/proc/net/arp") as table:
        for line in table:
            if line.split()[0] == address:
                return line.split()[3]
    return ""


def ask(connection, expected):
    connection.request("GET", PAGE)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or body != (expected or body):
        raise ValueError(f"status {answer.status}, {len(body)} bytes that are not the page")
    return body


connection = Connection(ADDRESS, 80, timeout=PATIENCE_SECONDS)
page = None
while not select.select([sys.stdin], [], [], PAUSE)[0]:
    asked = time.monotonic()
    told = {}
    try:
        page = ask(connection, page)
        told = {"status": 200, "mac": mac_of(ADDRESS)}
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        told = {"lost": f"{type(error).__name__}: {error}"}
    now = time.monotonic()
    told |= {"at": now * 1000, "ms": (now - asked) * 1000, "connections": connection.made}
    print(json.dumps(told), flush=True)
