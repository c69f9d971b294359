import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';

/** The folder for large temporary files: `$TMPDIR`, else `/var/tmp`, which unlike `/tmp` is rarely held in memory. */
export async function temporaryFolder(): Promise<string> {
  if (process.env['TMPDIR']) return tmpdir();
  const varTmp = await stat('/var/tmp').catch(() => undefined);
  return varTmp?.isDirectory() === true ? '/var/tmp' : tmpdir();
}
