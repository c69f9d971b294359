import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf } from '../../errors.js';
import { type ExecResult, exec } from '../../io/exec.js';
import { makeTemporaryFolder } from '../../io/temporary-folder.js';
import { assertFormer } from './former-index.js';
import type { PublishTarget, PublishedFile } from './publish-target.js';

/** Some files could not be transferred: what rsync says when the one asked for is not there, as well as for other faults. */
const PARTIAL = 23;

/**
 * A folder that rsync reaches: `host:path` by way of ssh, or `rsync://host/module/path`. rsync puts each file in place at once. Templates
 * are compared by length and time, which rsync keeps; small files by content.
 *
 * @param dir the repository
 * @param remote as rsync wants it; it does not begin with a dash
 */
export function rsyncTarget(dir: string, remote: string): PublishTarget {
  const target = `${remote.replace(/\/+$/, '')}/`;
  const transfer = async (files: readonly PublishedFile[], more: readonly string[], signal?: AbortSignal) => {
    const args = [...SEND, ...more, '--', `${dir}/`, target];
    return rsync(args, { input: listOf(files.map(({ name }) => name)), signal });
  };
  const send: PublishTarget['send'] = async (files, { onProgress, signal }) => {
    if (files.length === 0) return;
    await transfer(files, ['--ignore-times'], signal);
    onProgress?.(files.reduce((sum, { size }) => sum + size, 0));
  };
  const readText: PublishTarget['readText'] = (name, { signal }) => fetchText(`${target}${name}`, signal);
  return {
    name: remote,
    async missing(files, { signal }) {
      const found: PublishedFile[] = [];
      for (const [group, more] of byComparison(files)) {
        if (group.length === 0) continue;
        const { stdout } = await transfer(group, ['--dry-run', '--out-format=%n', ...more], signal);
        const names = new Set(stdout.split('\n'));
        found.push(...group.filter(({ name }) => names.has(name)));
      }
      return found;
    },
    send,
    async replace(index, options) {
      await assertFormer({ name: remote, readText }, index.name, options);
      await send([index], options);
    },
    // rsync itself takes away its temporary file when it is interrupted.
    sweep: () => Promise.resolve(),
    list: ({ signal }) => listFolder(target, signal),
    readText,
    remove: (names, { signal }) => removeFrom(target, names, signal),
    exclusively: (action) => action(),
  };
}

const SEND = ['--times', '--copy-links', '--chmod=F644,D755', '--mkpath', '--from0', '--files-from=-'];

/** Templates, whose names are never used for other content, and small files, whose length and time may be the same by chance. */
function byComparison(files: readonly PublishedFile[]): [PublishedFile[], string[]][] {
  const isTemplate = ({ name }: PublishedFile): boolean => name.endsWith('.xz');
  return [
    [files.filter(isTemplate), []],
    [files.filter((file) => !isTemplate(file)), ['--checksum']],
  ];
}

async function rsync(
  args: readonly string[],
  options: { input?: string; okStatus?: readonly number[]; signal?: AbortSignal | undefined },
): Promise<ExecResult> {
  try {
    return await exec('rsync', args, { debianPackage: 'rsync', ...options });
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_FAILED') throw error;
    const hint = HINTS.find(([said]) => said.test(error.message))?.[1] ?? error.hint;
    throw new TsbuilderError(error.code, error.message, { hint, details: error.details, cause: error });
  }
}

/** What to do about what ssh, the shell of the other side, and rsync say. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /rsync: (?:command )?not found|remote command not found/,
    'Install rsync on the other side, 3.2.3 or later.',
  ],
  [
    /Host key verification failed/,
    'Log in with ssh once and compare the key of the host: it is not known, or is another one than before.',
  ],
  [
    /Permission denied \(/,
    'ssh needs a key that the host accepts, or an agent that has it: no password is asked for.',
  ],
  [/unrecognized option|unknown option/, 'rsync 3.2.3 or later is needed on both sides.'],
  [
    /Read-only file system|Permission denied|read only/,
    'The user of the other side must be allowed to write there.',
  ],
  [/No space left/, 'Free some space on the other side, and run the command again.'],
];

function listOf(names: readonly string[]): string {
  return names.map((name) => `${name}\0`).join('');
}

async function listFolder(target: string, signal: AbortSignal | undefined): Promise<string[]> {
  const okStatus = [0, PARTIAL];
  const { status, stdout, stderr } = await rsync(['--list-only', '--', target], { okStatus, signal });
  if (status === PARTIAL && !isMissing(stderr)) await rsync(['--list-only', '--', target], { signal });
  // Permissions, length, date, time, name; of a symbolic link its target too, which is left alone.
  return stdout.split('\n').flatMap((line) => /^-\S+ +\S+ \S+ \S+ (.+)$/.exec(line)?.[1] ?? []);
}

function isMissing(stderr: string): boolean {
  return stderr.includes('No such file or directory');
}

/** A file that is not there and one that cannot be had are told apart by what rsync says of it. */
async function fetchText(url: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const folder = await makeTemporaryFolder('tsbuilder-publish-');
  try {
    const result = await rsync(['--max-size=64m', '--', url, `${folder}/file`], {
      ...{ okStatus: [0, PARTIAL], signal },
    });
    if (result.status === PARTIAL && !isMissing(result.stderr))
      await rsync(['--', url, `${folder}/file`], { signal });
    return await readFile(join(folder, 'file'), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** rsync removes what is missing in the folder that it copies from: an empty one. */
async function removeFrom(
  target: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (names.length === 0) return;
  const folder = await makeTemporaryFolder('tsbuilder-publish-');
  try {
    const args = ['--delete-missing-args', '--from0', '--files-from=-', '--', `${folder}/`, target];
    await rsync(args, { input: listOf(names), signal });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
