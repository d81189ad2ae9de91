"""usage: l3-traffic.py job|peer DIRECTORY PORT PEERS OWN [FOREIGN]

Both ends of everything that an l3 job may do with its addresses, each judging what it sees. PEERS
are the addresses of the other end and OWN those of this one, both families, joined with commas; of
each family the first is the primary; FOREIGN are those of the job's hosts. Ready when DIRECTORY/ROLE.pid appears; on SIGTERM the program
looks whether each of its channels still works, judges itself and writes PASS or FAIL and why into
DIRECTORY/ROLE.verdict.

Every channel is a question a step: a number goes out, and comes back with the address that the
other end saw it come from. The job listens on the wildcard of each family, TCP and UDP, asks the
peer from sockets that were never bound, and talks to itself over both loopbacks. The peer asks each
of the job's addresses. All waits are the kernel's, because a clock jumps when a job moves.
"""

import errno
import os
import resource
import signal
import select
import socket
import struct
import sys
import threading

# Slow enough for an emulated guest, whose one processor has a move to make as well.
STEP_S = 0.1
PROMISES_STEP_S = 0.5
# The two ends come up in their own time.
FIRST_TRIES_MAX = 300
FIRST_STEP_S = 0.2
# A datagram may be lost, and is told at the end. That many in a row are a fault: emulated guests on a
# busy machine have frozen a job for twenty seconds.
DATAGRAM_TIMEOUT = struct.pack("@ll", 3, 0)
RESENDS_MAX = 20
READY_ROUNDS = 3
FRESH_ROUNDS = 3
FRESH_WAITS = 400
IP_PKTINFO = 8
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
WILD = {4: "0.0.0.0", 6: "::"}

faults = []
rounds = {}
resends = {}


def fault(text):
    if len(faults) < 20 and text not in faults:
        faults.append(text)


def family_of(address):
    return 6 if ":" in address else 4


def make(kind, family):
    sock = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind)
    if family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def check(what, got, wanted):
    if got != wanted:
        fault(f"{what}: {got}, not {wanted}")


def pause(seconds):
    select.select([], [], [], seconds)


def patiently(call):
    """What the other end may not be ready for yet."""
    for _ in range(FIRST_TRIES_MAX):
        try:
            return call()
        except OSError as error:
            last = error
            pause(FIRST_STEP_S)
    raise last


def channel(name, ask, step=STEP_S):
    """Asks for ever, in a thread of its own; `ask(n)` raises or reports what is wrong."""
    rounds[name] = 0

    def loop():
        while True:
            try:
                ask(rounds[name])
            except OSError as error:
                fault(f"{name}: {error}")
                return
            rounds[name] += 1
            pause(step)

    threading.Thread(target=loop, daemon=True).start()


# What is listened for, by both roles.


def serve_stream(address, port, own):
    listener = make(socket.SOCK_STREAM, family_of(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(16)

    def loop():
        while True:
            sock, who = listener.accept()
            threading.Thread(target=answer, args=(sock, who[0]), daemon=True).start()

    def answer(sock, who):
        with sock, sock.makefile("rwb") as lines:
            for line in lines:
                lines.write(line.strip() + b" " + who.encode() + b"\n")
                lines.flush()
                if sock.getsockname()[0] not in own:
                    fault(f"accepted at {sock.getsockname()[0]}")

    threading.Thread(target=loop, daemon=True).start()


def serve_datagrams(address, port, own):
    """Answers from the address that was asked, as a server does that cares (ip(7), ipv6(7))."""
    family = family_of(address)
    sock = make(socket.SOCK_DGRAM, family)
    level = socket.IPPROTO_IPV6 if family == 6 else socket.IPPROTO_IP
    option = socket.IPV6_RECVPKTINFO if family == 6 else IP_PKTINFO
    sock.setsockopt(level, option, 1)
    sock.bind((address, port))

    def loop():
        while True:
            data, more, _, who = sock.recvmsg(100, 200)
            at = more[0][2][:16] if family == 6 else more[0][2][8:12]
            if family == 6:
                info = (level, socket.IPV6_PKTINFO, at + bytes(4))
            else:
                info = (level, IP_PKTINFO, bytes(4) + at + bytes(4))
            text = socket.inet_ntop(socket.AF_INET6 if family == 6 else socket.AF_INET, at)
            if text not in own and who[0] != LOOPBACK[family]:
                fault(f"a datagram came to {text}")
            sock.sendmsg([data + b" " + who[0].encode()], [info], 0, who)

    threading.Thread(target=loop, daemon=True).start()


# What is asked.


def stream(name, address, port, seen_as):
    def connected():
        sock = make(socket.SOCK_STREAM, family_of(address))
        sock.connect((address, port))
        return sock

    sock = patiently(connected)
    lines = sock.makefile("rwb")

    def ask(number):
        lines.write(f"{number}\n".encode())
        lines.flush()
        check(name, lines.readline().decode(), f"{number} {seen_as}\n")
        check(f"{name}, own name", sock.getsockname()[0], seen_as)
        check(f"{name}, peer's name", sock.getpeername()[0], address)

    channel(name, ask)


def datagrams(name, address, port, seen_as, connected):
    sock = make(socket.SOCK_DGRAM, family_of(address))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, DATAGRAM_TIMEOUT)
    if connected:
        sock.connect((address, port))
    resends[name] = 0

    def exchange(number):
        text = f"{number}".encode()
        if connected:
            sock.send(text)
        else:
            sock.sendto(text, (address, port))
        while True:
            data, who = sock.recvfrom(100)
            words = data.decode().split()
            # The answer to a question that was asked twice comes twice.
            if int(words[0]) == number:
                return words[1], who[0]

    def ask(number):
        for _ in range(RESENDS_MAX):
            try:
                seen, answered = exchange(number)
            except BlockingIOError:
                resends[name] += 1
                continue
            check(name, seen, seen_as)
            check(f"{name}, who answered", answered, address)
            return
        fault(f"{name}: no answer to {number}")

    patiently(lambda: exchange(-1))
    channel(name, ask)


def error_of(call):
    try:
        call().close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "none"


def bound(kind, address):
    sock = make(kind, family_of(address))
    sock.bind((address, 0))
    return sock


def promises(foreign, own):
    """What new sockets may do and may not, over and over."""
    rights = what_rights()

    def ask(_):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for address in own:
                check(f"bind to {address}", error_of(lambda: bound(kind, address)), "none")
            for address in foreign:
                got = error_of(lambda: bound(kind, address))
                check(f"bind to {address}", got, "EADDRNOTAVAIL")
            for family in (4, 6):
                primary = next(one for one in own if family_of(one) == family)
                with bound(kind, WILD[family]) as sock:
                    check(f"wildcard {family}", sock.getsockname()[0], primary)
                with bound(kind, LOOPBACK[family]) as sock:
                    check(f"loopback {family}", sock.getsockname()[0], LOOPBACK[family])
        for family, protocol in ((socket.AF_INET, 1), (socket.AF_INET6, 58), (17, 0)):
            got = error_of(lambda: socket.socket(family, socket.SOCK_RAW, protocol))
            check(f"raw socket of family {family}", got, "EPERM")
        check("rights", what_rights(), rights)

    channel("promises", ask, PROMISES_STEP_S)


def what_rights():
    with open("/proc/self/status") as status:
        fields = ("Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:")
        lines = [line.strip() for line in status if line.startswith(fields)]
    limits = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE)
    return lines + [resource.getrlimit(limit) for limit in limits]


def open_channels(role, port, peers, own, foreign):
    """The job asks the peer and itself, the peer asks each address of the job."""
    if role == "peer":
        for theirs in peers:
            mine = next(one for one in own if family_of(one) == family_of(theirs))
            stream(f"TCP to {theirs}", theirs, port, mine)
            datagrams(f"UDP to {theirs}", theirs, port, mine, True)
        return
    for family in (4, 6):
        mine = next(one for one in own if family_of(one) == family)
        theirs = next(one for one in peers if family_of(one) == family)
        stream(f"TCP to {theirs}", theirs, port, mine)
        datagrams(f"UDP to {theirs}", theirs, port, mine, False)
        inside = LOOPBACK[family]
        stream(f"TCP over {inside}", inside, port, inside)
        datagrams(f"UDP over {inside}", inside, port, inside, False)
        datagrams(f"connected UDP over {inside}", inside, port, inside, True)
    promises(foreign, own)


def main():
    role, directory, port, *lists = sys.argv[1:]
    port = int(port)
    peers, own, foreign = [one.split(",") for one in [*lists, ""][:3]]
    # Before any thread, so that the signal waits for us.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    for family in (4, 6):
        serve_stream(WILD[family], port, own + [LOOPBACK[family]])
        serve_datagrams(WILD[family], port, own)
    open_channels(role, port, peers, own, foreign)
    settle(READY_ROUNDS)
    write(directory, f"{role}.pid", str(os.getpid()))
    signal.sigwait([signal.SIGTERM])
    judge(role, directory)
    if role == "peer":
        # The job is judged after it, and needs somebody to ask until then.
        signal.sigwait([signal.SIGTERM])
    os._exit(1 if faults else 0)


def judge(role, directory):
    settle(FRESH_ROUNDS)
    text = "FAIL\n" + "\n".join(faults) if faults else "PASS"
    told = f"rounds {sum(rounds.values())}, resent {sum(resends.values())}"
    write(directory, f"{role}.verdict", f"{text}\n{told}\n")


def settle(more):
    """Waits until every channel has gone round again; one that stands still is a fault."""
    before = dict(rounds)
    for _ in range(FRESH_WAITS):
        late = [name for name, count in rounds.items() if count < before[name] + more]
        if not late:
            return
        pause(STEP_S)
    for name in late:
        fault(f"{name} stands still at {rounds[name]}")


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


main()
