import { makeWorld, type World } from './world.ts';

export const ADDRESS = '10.77.0.180';
export const ADDRESS6 = 'fd77::180';
const DETACH = 'python3 /shared/workloads/detach.py';

/** A namespace as an administrator makes one, on a bridge of the host. */
export async function makeNetns(world: World, host: string, name = 'web'): Promise<void> {
  const [v4, v6] = [ADDRESS, ADDRESS6].map((own) => {
    return name === 'web' ? own : own.replace(/\d$/, '1');
  });
  await world.ask(
    host,
    `set -e
    ip netns add ${name}
    ip link add v-${name} type veth peer name eth0 netns ${name}
    ip link set v-${name} master br0 up
    ip -n ${name} -batch - <<end
link set lo up
link set eth0 up
addr add ${v4}/24 dev eth0
addr add ${v6}/64 dev eth0 nodad
end`,
  );
}

/** Two tables that rules choose between, NAT for a second port, and counters. */
export async function addPolicy(world: World, host: string): Promise<void> {
  await world.ask(
    host,
    `set -e
    mkdir -p /etc/netns/web && echo 192.0.2.7 shop > /etc/netns/web/hosts
    ip -n web -batch - <<end
route add 10.77.0.0/24 dev eth0 table 101
route add default via 10.77.0.13 dev eth0 table 101
route add 192.0.2.0/24 via 10.77.0.13 dev eth0 table 102
rule add from ${ADDRESS} lookup 101 priority 1000
rule add fwmark 7 lookup 102 priority 1001
end
    nsenter --net=/run/netns/web nft -f - <<end
table ip shop {
  counter quiet { packets 41 bytes 4100 }
  counter web { }
  chain nat { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to ${ADDRESS}:80; }
  chain in { type filter hook input priority 0; tcp dport 80 counter name web; }
}
end`,
  );
}

/** The rules and tables of `addPolicy`, as ip(8) shows them. */
export async function policyOf(world: World, host: string): Promise<string> {
  const shows = ['rule show', 'route show table 101', 'route show table 102'];
  return world.ask(host, shows.map((show) => `ip -n web ${show}`).join(' && '));
}

/** What its counters say: packets by name. */
export async function countersOf(world: World, host: string): Promise<Map<string, number>> {
  const text = await world.ask(host, 'nsenter --net=/run/netns/web nft list counters');
  const found = [...text.matchAll(/counter (\w+) \{\s+packets (\d+)/g)];
  return new Map(found.map(([, name = '', packets]) => [name, Number(packets)]));
}

/** Starts a program in it, as a tree of its own. */
export async function startInside(
  world: World,
  host: string,
  command: string,
  name = 'web',
): Promise<void> {
  await world.ask(host, `ip netns exec ${name} ${DETACH} ${command}`);
}

/** nginx with its workers, a UDP echo, a loop like cron's. */
export async function startAll(world: World, host: string, ticks: string): Promise<void> {
  await startInside(world, host, 'nginx -c /shared/workloads/nginx.conf');
  await startInside(world, host, 'python3 /shared/workloads/udp-recorder.py 5000');
  await startInside(world, host, `sh /shared/workloads/ticker.sh ${ticks}`);
  await world.ask(
    host,
    `for _ in $(seq 100); do curl -so /dev/null http://${ADDRESS}/ && exit; sleep 0.1; done; exit 1`,
  );
}

/** The programs that run in the namespace, sorted; those that a loop starts come and go. */
export async function programsInside(world: World, host: string): Promise<string[]> {
  const script = 'for pid in $(ip netns pids web); do cat /proc/$pid/comm; done 2>/dev/null; true';
  const programs = (await world.ask(host, script)).split('\n').filter(Boolean);
  return programs.filter((program) => !['sleep', 'date'].includes(program)).sort();
}

export async function stateOf(world: World, host: string): Promise<Record<string, unknown>> {
  return JSON.parse(await world.ask(host, 'exec python3 /shared/workloads/host-state.py'));
}

/** The host's own link-local address gets its route when duplicate detection is over. */
export async function makeSettledWorld(name: string, ...hosts: string[]): Promise<World> {
  const world = await makeWorld(name, ...hosts);
  const settled = 'until [ -z "$(ip -6 addr show tentative)" ]; do sleep 0.1; done';
  for (const host of hosts) await world.ask(host, settled);
  return world;
}
