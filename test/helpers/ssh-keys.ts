import { readFileSync } from 'node:fs';
import { run, scratchPath } from './guest-image.js';

function generated(type: string): { path: string; line: string } {
  const path = scratchPath(type);
  run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `tester ${type}`, '-f', path]);
  return { path, line: readFileSync(`${path}.pub`, 'utf8') };
}

const keys = { ed25519: generated('ed25519'), ecdsa: generated('ecdsa'), rsa: generated('rsa') };

/** Lines of `.pub` files that ssh-keygen made for this run, each with its end. */
export const PUBLIC_KEYS = { ed25519: keys.ed25519.line, ecdsa: keys.ecdsa.line, rsa: keys.rsa.line };

/** The path of the private key of {@link PUBLIC_KEYS}.ed25519; the public one is beside it. */
export const PRIVATE_KEY_FILE = keys.ed25519.path;
