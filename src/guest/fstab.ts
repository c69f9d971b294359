import { smallText } from './distro.js';
import type { GuestFiles } from './guest.js';

/** A line of /etc/fstab (fstab(5)). */
export interface FstabEntry {
  /** `UUID=...`, `LABEL=...`, `/dev/...` or another word. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The entries of a fstab. Octal escapes (`\040` for a blank) are undone; lines with fewer than three words are skipped. */
export function parseFstab(text: string): FstabEntry[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/).map(unescape);
    const [device = '', mountPoint, type, options = 'defaults'] = words;
    if (device === '' || device.startsWith('#') || mountPoint === undefined || type === undefined) return [];
    return [{ device, mountPoint, type, options: options.split(',') }];
  });
}

function unescape(word: string): string {
  return word.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** The entries of a guest's fstab; none when it has no such file. */
export async function readFstab(files: GuestFiles): Promise<FstabEntry[]> {
  return parseFstab((await smallText(files, '/etc/fstab')) ?? '');
}
