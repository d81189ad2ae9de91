"""usage: host-state.py

Everything on this host that a move could leave behind, as JSON: a sorted list a kind. Numbers that
the kernel gives anew each time (interface indexes, process ids) are left out.
"""

import json
import os
import re
import subprocess

TEMPORARY = ["/tmp", "/run", "/dev/shm", "/var/tmp", "/var/lib/migrate", "/var/log/migrate"]
#: docs/operations.md: what stays with a host that had a job once. /run/netns is that of ip-netns(8).
KEPT = re.compile(
    r"^/run/migrate(/(lib|jobs|moves|locks|lib/job-init.*|fresh-sysctls.json|l3-filter.lock))?$"
    r"|^/run/(netns|criu.kdat)$|^/var/(lib/migrate/journal|log/migrate)$"
)


def lines_of(*words):
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    return sorted(re.sub(r"^\d+: |@if\d+", "", line).strip() for line in result.stdout.splitlines())


def links():
    """Their names and flags; a MAC or a peer's index may be new with each device."""
    return sorted(line.split(" qdisc")[0] for line in lines_of("ip", "-o", "link", "show"))


def tree(top):
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            if not KEPT.match(path):
                yield path


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted(line.split()[4] for line in file if not KEPT.match(line.split()[4]))


def processes():
    """Each with how many descriptors it has open."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                line = " ".join(file.read().split("\0")).strip()
            if int(pid) != os.getpid() and line:
                yield f"{line}: {len(os.listdir(f'/proc/{pid}/fd'))}"
        except OSError:
            continue


def cgroups():
    top = "/sys/fs/cgroup"
    return sorted(directory[len(top) :] for directory, _, _ in os.walk(top))


def attached():
    """Programs that are attached to a cgroup of this host, without their numbers."""
    lines = lines_of("bpftool", "cgroup", "tree", "/sys/fs/cgroup")
    return sorted(re.sub(r"^\d+\s+", "", line) for line in lines)


def main():
    state = {
        "addresses": lines_of("ip", "-o", "addr", "show", "scope", "global"),
        "links": links(),
        # The host's own link-local address appears when its duplicate detection ends.
        "routes": [
            line
            for line in lines_of("ip", "route", "show", "table", "all")
            if not line.startswith(("local fe80::", "anycast fe80::"))
        ],
        "routes 6": lines_of("ip", "-6", "route", "show", "table", "all", "to", "fd00::/8"),
        "rules": lines_of("ip", "rule") + lines_of("ip", "-6", "rule"),
        "nft": lines_of("nft", "list", "ruleset"),
        "qdiscs": lines_of("tc", "qdisc", "show"),
        "filters": lines_of("tc", "filter", "show", "dev", "eth0", "ingress"),
        "netns": [line.split()[0] for line in lines_of("ip", "netns", "list")],
        "mounts": mounts(),
        "cgroups": cgroups(),
        "pins": sorted(tree("/sys/fs/bpf")),
        "attached": attached(),
        "files": sorted(path for top in TEMPORARY for path in tree(top)),
        "processes": sorted(processes()),
        "locks": lines_of("ss", "-Hxl", "src", "@migrate*"),
    }
    print(json.dumps(state))


main()
