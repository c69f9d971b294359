import type { PackageManager } from '../../guest/inspect.js';
import { packageScript } from '../in-guest/package-commands.js';

/** Longest wait for a route to the rest of the world, seconds. */
const NETWORK_WAIT_SECONDS = 120;

/** Early after boot, apt's own timer may hold its lock. */
const WAIT_FOR_APT = `APT_CONFIG=$(mktemp) && export APT_CONFIG && trap 'rm -f "$APT_CONFIG"' EXIT
echo 'DPkg::Lock::Timeout "600";' >"$APT_CONFIG"
`;

/**
 * The POSIX shell script that waits for the network, then installs packages with the guest's package manager. Its status is
 * the package manager's.
 *
 * @param packages names that {@link packageProblem} has no objection to
 */
export function installScript(manager: PackageManager, packages: readonly string[]): string {
  return `#!/bin/sh
# Installs packages when there is a default route, or after ${NETWORK_WAIT_SECONDS} seconds without one.
has_route() {
    grep -q '^[^[:space:]]*[[:space:]]00000000[[:space:]]' /proc/net/route 2>/dev/null ||
        grep -v '[[:space:]]lo$' /proc/net/ipv6_route 2>/dev/null | grep -q '^0\\{32\\} 00 '
}
left=${NETWORK_WAIT_SECONDS}
until has_route || [ "$left" -eq 0 ]; do
    left=$((left - 1))
    sleep 1
done
${manager === 'apt' ? WAIT_FOR_APT : ''}${packageScript(manager, 'install', packages)}`;
}

/** What is wrong with the name of a package; undefined for a good one. Versions, architectures and groups may be in it. */
export function packageProblem(name: string): string | undefined {
  if (name === '') return 'a name is empty';
  if (name.startsWith('-')) return `'${name}' looks like an option`;
  return /^[A-Za-z0-9@/][A-Za-z0-9@/+.:~=_<>*^ -]*$/.test(name)
    ? undefined
    : `'${name}' is no name of a package`;
}
