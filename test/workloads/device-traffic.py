"""usage: device-traffic.py job|peer DIRECTORY

Both ends of traffic through devices. DIRECTORY/channels.json says what goes through which device; it
may come later than the program. Ready when DIRECTORY/ROLE.pid appears; on SIGTERM the program judges
itself and writes PASS or FAIL and why into DIRECTORY/ROLE.verdict.

A channel is a question a step: a number goes out from `ask` and comes back from `answer`, over one
TCP connection that has to stay, and in datagrams of which a few may be lost while the job moves:
at most `lossMax` in a row, as often as DIRECTORY/moves says that it has moved. Waits are counted in ticks of a thread that sleeps in
the kernel, because a clock jumps when a job moves; only the peer, which stays, measures times.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback

# Slower when channels.json says so: an emulated guest has a move to make as well.
STEP_S = 0.1
# Ticks: the two ends come up in their own time; an answer that takes longer counts as lost.
FIRST_TICKS = 1200
LATE_TICKS = 40
FRESH_TICKS = 600
READY_ROUNDS = 3
FRESH_ROUNDS = 5

faults = []


def fault(text):
    if len(faults) < 20 and text not in faults:
        faults.append(text)


def make(kind, end):
    family = socket.AF_INET6 if ":" in end["address"] else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "device" in end:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, end["device"].encode())
    return sock


def patiently(call):
    """What the other end may not be ready for yet."""
    for _ in range(FIRST_TICKS):
        try:
            return call()
        except OSError as error:
            last = error
            pause()
    raise last


def pause():
    select.select([], [], [], STEP_S)


class Loop:
    def __init__(self):
        self.poll = select.poll()
        self.calls = {}
        # One that nobody else keeps would be closed.
        self.files = {}

    def watch(self, file, call):
        self.calls[file.fileno()] = call
        self.files[file.fileno()] = file
        self.poll.register(file, select.POLLIN)

    def forget(self, file):
        self.poll.unregister(file)
        del self.calls[file.fileno()], self.files[file.fileno()]

    def run(self):
        for number, _ in self.poll.poll():
            # One that was called before may have taken it away.
            self.calls.get(number, lambda: None)()

    def tick(self, call):
        """Calls it a step for ever."""
        out, into = os.pipe()

        def beat():
            while True:
                pause()
                os.write(into, b".")

        self.watch(open(out, "rb", buffering=0), lambda: call(len(os.read(out, 100))))
        threading.Thread(target=beat, daemon=True).start()


def lines_of(sock, kept, call):
    """Whole lines of a stream; `kept` is what is left of the last one."""
    data = sock.recv(65536)
    if not data:
        return False
    *lines, kept[0] = (kept[0] + data).split(b"\n")
    for line in lines:
        call(line)
    return True


def send_all(sock, data):
    """The kernel takes it as it gets room; nobody else waits for this program meanwhile."""
    sock.sendall(data)


def answer(loop, channel):
    """A listener and a datagram socket, which say each number again."""
    end = channel["answer"]
    at = (end["address"], end["port"])
    padding = b" " + b"." * channel.get("padding", 0)
    listener = make(socket.SOCK_STREAM, end)
    patiently(lambda: listener.bind(at))
    listener.listen(4)

    def accept():
        sock, _ = listener.accept()
        kept = [b""]

        def told():
            if not lines_of(sock, kept, lambda line: send_all(sock, line.split()[0] + padding + b"\n")):
                loop.forget(sock)
                sock.close()

        loop.watch(sock, told)

    loop.watch(listener, accept)
    datagrams = make(socket.SOCK_DGRAM, end)
    datagrams.bind(at)

    def datagram():
        data, who = datagrams.recvfrom(2000)
        datagrams.sendto(data, who)

    loop.watch(datagrams, datagram)


class Asker:
    """One channel, asked from here."""

    def __init__(self, loop, channel):
        self.channel = channel
        self.name = channel["name"]
        self.to = (channel["answer"]["address"], channel.get("port", channel["answer"]["port"]))
        self.padding = b" " + b"." * channel.get("padding", 0) + b"\n"
        self.rounds = self.sent = self.answered = 0
        self.waiting = False
        self.outstanding = {}
        self.shortest = float("inf")
        self.shortest_line = float("inf")
        self.kept = [b""]
        self.stream = patiently(self.connected)
        loop.watch(self.stream, self.told)
        self.datagrams = make(socket.SOCK_DGRAM, channel["ask"])
        self.datagrams.bind((channel["ask"]["address"], 0))
        self.datagrams.connect(self.to)
        loop.watch(self.datagrams, self.datagram)

    def connected(self):
        sock = make(socket.SOCK_STREAM, self.channel["ask"])
        sock.bind((self.channel["ask"]["address"], 0))
        sock.settimeout(2)
        try:
            sock.connect(self.to)
        except OSError:
            sock.close()
            raise
        sock.settimeout(None)
        return sock

    def step(self):
        if not self.waiting:
            self.asked = time.monotonic()
            send_all(self.stream, b"%d" % self.rounds + self.padding)
            self.waiting = True
        self.outstanding[self.sent] = time.monotonic()
        try:
            self.datagrams.send(b"%d" % self.sent)
        except OSError as error:
            # Of an earlier datagram, which is lost then; it counts as such.
            if error.errno not in (101, 111, 113):
                fault(f"{self.name}: {error}")
        self.sent += 1

    def told(self):
        try:
            if lines_of(self.stream, self.kept, self.line):
                return
            fault(f"{self.name}: the connection was closed")
        except OSError as error:
            fault(f"{self.name}: {error}")
        loop.forget(self.stream)

    def line(self, line):
        if int(line.split()[0]) != self.rounds:
            fault(f"{self.name}: {line[:20]} instead of {self.rounds}")
        self.rounds += 1
        self.waiting = False
        self.shortest_line = min(self.shortest_line, time.monotonic() - self.asked)

    def datagram(self):
        try:
            number = int(self.datagrams.recv(2000))
        except OSError:
            return
        at = self.outstanding.pop(number, None)
        if at is None:
            return
        self.answered += 1
        took = time.monotonic() - at
        self.shortest = min(took, self.shortest)

    def fresh(self):
        return (self.rounds, self.answered)

    def judge(self, moves):
        runs = []
        for number in sorted(self.outstanding):
            if runs and number - runs[-1][-1] <= 3:
                runs[-1].append(number)
            else:
                runs.append([number])
        lost = [len(run) for run in runs]
        most = self.channel["lossMax"]
        if len(runs) > moves or any(count > most for count in lost):
            fault(f"{self.name}: datagrams lost {runs}, at most {most} in each of {moves} moves")
        wanted = self.channel.get("delayMs")
        if wanted is not None and self.shortest * 1000 < wanted:
            fault(f"{self.name}: answered within {self.shortest * 1000:.1f} ms, not {wanted}")
        wanted = self.channel.get("lineMs")
        if wanted is not None and self.shortest_line * 1000 < wanted:
            fault(f"{self.name}: a line took {self.shortest_line * 1000:.1f} ms, not {wanted}")
        return f"{self.name}: {self.rounds} lines, {self.sent} datagrams, lost {sum(lost)}"


loop = Loop()


def read_channels(directory):
    path = os.path.join(directory, "channels.json")
    while not os.path.exists(path):
        pause()
    with open(path) as file:
        return json.load(file)


ticks = [0]
step_ticks = [1]


def go_on(askers, until, most):
    """Asks a question a tick until `until()` or the time is over; whether it came true."""
    end = ticks[0] + most
    asked = ticks[0]
    while not until():
        if ticks[0] > end:
            return False
        if ticks[0] >= asked + step_ticks[0]:
            asked = ticks[0]
            for asker in askers:
                asker.step()
        loop.run()
    return True


def count(more):
    ticks[0] += more


def rounds_more(askers, more):
    before = {asker.name: asker.fresh() for asker in askers}

    def reached():
        return not late()

    def late():
        return [
            asker.name
            for asker in askers
            if any(now < was + more for now, was in zip(asker.fresh(), before[asker.name]))
        ]

    return reached, late


def main(role, directory):
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    wanted = read_channels(directory)
    step_ticks[0] = wanted["stepTicks"]
    loop.tick(count)
    answered = []
    for channel in wanted["channels"]:
        if channel["answer"]["by"] == role and channel["answer"] not in answered:
            answer(loop, channel)
            answered.append(channel["answer"])
    write(directory, f"{role}.listens", "")
    other = os.path.join(directory, f"{'peer' if role == 'job' else 'job'}.listens")
    while not os.path.exists(other):
        pause()
    mine = [one for one in wanted["channels"] if one["ask"]["by"] == role]
    askers = connect(mine)
    reached, late = rounds_more(askers, READY_ROUNDS)
    if not go_on(askers, reached, FIRST_TICKS):
        fault(f"never began: {', '.join(late())}")
        finish(role, directory, [])
    # What got lost while the two ends came up says nothing.
    for asker in askers:
        asker.outstanding = {}
    write(directory, f"{role}.pid", str(os.getpid()))
    go_on(askers, lambda: told, float("inf"))
    reached, late = rounds_more(askers, FRESH_ROUNDS)
    if not go_on(askers, reached, FRESH_TICKS):
        fault(f"stands still: {', '.join(late())}")
    go_on([], lambda: not any(asker.outstanding for asker in askers), LATE_TICKS)
    finish(role, directory, [asker.judge(moves_of(directory)) for asker in askers])


def moves_of(directory):
    with open(os.path.join(directory, "moves")) as file:
        return int(file.read())


def connect(channels):
    """Answers meanwhile: both ends may wait for each other."""
    return [Asker(loop, channel) for channel in channels]


def finish(role, directory, figures):
    text = "FAIL\n" + "\n".join(faults) if faults else "PASS"
    write(directory, f"{role}.verdict", "\n".join([text, *figures, ""]))
    os._exit(1 if faults else 0)


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


try:
    main(*sys.argv[1:])
except Exception:
    fault(traceback.format_exc())
    finish(*sys.argv[1:], [])
