import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Addresses that lead no further than one's own networks; those of containers are among them. */
const NEAR = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  NEAR.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  NEAR.addSubnet(network, bits, 'ipv6');
}

/** Whether all addresses of a host are public; false also where it has none that can be found: nothing is claimed then. */
export async function isFarAway(host: string): Promise<boolean> {
  const name = host.replace(/^\[(.*)\]$/, '$1');
  try {
    const found = isIP(name) === 0 ? await lookup(name, { all: true }) : [{ address: name }];
    return found.length > 0 && found.every(({ address }) => !isNear(address));
  } catch {
    // Whoever sends something to it is told why it cannot be found.
    return false;
  }
}

function isNear(address: string): boolean {
  return NEAR.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
