/** Every maximum of this room, each with its reason. Units are in the names. */
export const l2Limits = {
  /** A namespace with more devices than this is a router, not a job. */
  linksMax: 1_024,
  nftTablesMax: 1_024,
  /** Five tables of two families, in either of the kernel's ways. */
  iptablesTablesMax: 20,
  /** One table as text: a set of 100,000 addresses is about 2 MB. */
  nftTableCharsMax: 16 * 1024 * 1024,
  /** The kernel has about 55 net sysctls for each device and 300 others. */
  sysctlsMax: 100_000,
  sysctlCharsMax: 4_096,
  warningsMax: 10_000,
  /** IFALIASZ of include/uapi/linux/if.h, less its end. */
  aliasCharsMax: 255,
  nextHopsMax: 256,
  /** Of one section; the kernel's own routing tables are the largest. */
  objectsMax: 100_000,
  /** The kernel bounds the list by 64 KiB. */
  altNamesMax: 256,
  /** Sources of one multicast group: PG_SRC_ENT_LIMIT of net/bridge/br_private.h is 32. */
  groupSourcesMax: 256,
  /** VLAN_N_VID: each VLAN of a bridge belongs to one spanning tree. */
  treesMax: 4_096,
  /** MPLS stacks and SRv6 headers; the kernel's own limit is a page. */
  encapsulationBytesMax: 4_096,
  /** Of one macvlan in mode source; the kernel's message to make one holds 64 KiB. */
  sourceAddressesMax: 4_096,
  /** Priorities of packets are 32-bit numbers; a map holds those that somebody typed. */
  vlanPrioritiesMax: 1_024,
  /** BOND_MAX_ARP_TARGETS of include/net/bonding.h, and the same of IPv6. */
  bondTargetsMax: 16,
  /** MAX_PEERS_PER_DEVICE of drivers/net/wireguard/messages.h is 2^20; this is a large hub. */
  wireguardPeersMax: 65_536,
  /** A kernel has about sixty features; a bit set of them 64. */
  offloadsMax: 512,
  /** Of one peer; the kernel has no limit of its own. */
  allowedAddressesMax: 65_536,
  /** The kernel prints one qdisc or filter into a message of at most 32 KiB. */
  tcOptionsBytesMax: 32_768,
  /** Filters of one preference: a hash table of u32 has 4,096 times 256 places. */
  tcItemsMax: 100_000,
  /** TCA_ACT_MAX_PRIO of include/net/act_api.h. */
  tcActionsMax: 32,
} as const;
