import { readSmallHostFile } from '../accounts/host-file.js';
import { checked, hostPath } from '../files/argument.js';
import { shellWriteFile } from '../in-guest/shell-word.js';
import type { SystemOperationKind } from '../operation-kind.js';

/** Larger files are to be brought into the guest by `--upload`. */
const LARGEST = 16 * 1024 * 1024;

/** `--run`: any program of this machine, copied into the guest and run there. */
export const run: SystemOperationKind<string> = {
  name: 'run',
  argument: 'SCRIPT',
  summary: 'Run a script or program of this machine in the guest.',
  runs: 'in-guest',
  schema: hostPath,
  parse: (text) => checked('run', hostPath, text),
  hostFiles: (path) => [{ path }],
  describe: (path) => `run ${path}`,
  script: async (path) => runProgram(await readSmallHostFile(path, LARGEST)),
};

/** The program is made beside the script, in a folder that only root can enter and that is removed afterwards. */
function runProgram(bytes: Buffer): string {
  return `program=\${0%/*}/program
${shellWriteFile('program', bytes)}chmod 0700 "$program"
exec "$program"
`;
}
