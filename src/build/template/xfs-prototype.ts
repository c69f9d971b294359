import type { PlannedFile } from './xfs-plan.js';

type Prototyped = Pick<PlannedFile, 'madeAs' | 'source' | 'target'> & {
  readonly entry: Pick<PlannedFile['entry'], 'type'>;
};

const KINDS: Readonly<Record<string, string>> = { file: '-', directory: 'd', symlink: 'l', fifo: 'p' };

/** Permissions and owner of every file: `completeInode` writes over them, as a prototype does not know all of them. */
const ANYHOW = '--755 0 0';

/** A prototype file for mkfs.xfs(8) that makes files, in their order, out of those in the working directory. */
export function formatPrototype(files: Iterable<Prototyped>): Buffer {
  const children = new Map<string, Prototyped[]>();
  for (const file of files) {
    if (file.madeAs === '') continue;
    const parent = file.madeAs.split('/').slice(0, -1).join('/');
    const siblings = children.get(parent);
    if (siblings) siblings.push(file);
    else children.set(parent, [file]);
  }
  const folder = (path: string): string[] => [
    ...(children.get(path) ?? []).flatMap((file) => [
      line(file),
      ...(file.entry.type === 'directory' ? folder(file.madeAs) : []),
    ]),
    '$',
  ];
  return Buffer.from(['-', '0 0', `d${ANYHOW}`, ...folder(''), ''].join('\n'), 'latin1');
}

function line({ entry: { type }, madeAs, source, target }: Prototyped): string {
  const content = type === 'file' ? ` ${source}` : type === 'symlink' ? ` ${target}` : '';
  return `${madeAs.split('/').at(-1) ?? ''} ${KINDS[type] ?? ''}${ANYHOW}${content}`;
}
