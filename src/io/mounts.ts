import { readFile } from 'node:fs/promises';

/** One line of `/proc/self/mountinfo`. */
export interface Mount {
  /** Device number of the mounted filesystem, `MAJOR:MINOR`. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  /** What was mounted, often a device's path. */
  readonly source: string;
}

/** All that is mounted in this process's namespace (proc(5)); empty on systems without /proc. */
export async function readMounts(): Promise<Mount[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => parseMount(line) ?? []);
}

/** The fields are separated by spaces; a lone dash ends the optional ones. */
function parseMount(line: string): Mount | undefined {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [device, mountPoint, type, source] = [fields[2], fields[4], fields[dash + 1], fields[dash + 2]];
  if (dash < 0 || device === undefined || mountPoint === undefined || type === undefined) return undefined;
  return { device, mountPoint: unescapeOctal(mountPoint), type, source: unescapeOctal(source ?? '') };
}

/** Undoes the kernel's `\040` for space, tab, newline and backslash. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
