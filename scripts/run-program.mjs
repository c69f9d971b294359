import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Runs a program in the repository's folder, its output passed through, and returns its exit status (127: not found). */
export function status(program, args, options = {}) {
  const result = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (result.error) {
    process.stderr.write(`${program}: ${result.error.message}\n`);
    return 127;
  }
  return result.status ?? 128;
}

/** Runs a program as `status` does and ends this script with its exit status when that is not 0. */
export function must(program, args, options = {}) {
  const code = status(program, args, options);
  if (code !== 0) process.exit(code);
}
