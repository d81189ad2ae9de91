/**
 * Whether a device is one that the kernel itself puts into a namespace: it goes with the namespace,
 * can be configured, and neither be made nor taken away, nor changed in what is special about its
 * kind. Each comes with a module, into all namespaces, unless net.core.fb_tunnels_only_for_init_net
 * says otherwise.
 */
export function isFallbackDevice(name: string, kind: string): boolean {
  return fallbackDevices[name] === kind;
}

const fallbackDevices: Readonly<Record<string, string>> = {
  // net/ipv4/ipip.c, ipip_init_net
  tunl0: 'ipip',
  // net/ipv4/ip_gre.c, ipgre_init_net, ipgre_tap_init_net, erspan_init_net
  gre0: 'gre',
  gretap0: 'gretap',
  erspan0: 'erspan',
  // net/ipv4/ip_vti.c, vti_init_net
  ip_vti0: 'vti',
  // net/ipv6/ip6_vti.c, vti6_init_net
  ip6_vti0: 'vti6',
  // net/ipv6/sit.c, sit_init_net
  sit0: 'sit',
  // net/ipv6/ip6_tunnel.c, ip6_tnl_init_net
  ip6tnl0: 'ip6tnl',
  // net/ipv6/ip6_gre.c, ip6gre_init_net
  ip6gre0: 'ip6gre',
};
