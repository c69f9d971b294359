import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import {
  type MountRecord,
  type MountState,
  claimMount,
  ownServer,
  plannedState,
  readRecord,
  resolveFolder,
  serverRuns,
  withMountLock,
  writeRecord,
} from './mount-record.js';
import { mountedAmong, takeDown, takeDownLocked } from './unmount-files.js';

/** A folder in which files can be mounted. Disposing it unmounts them and removes all that was made for the mount. */
export interface MountPlace extends AsyncDisposable {
  /** Without links. */
  readonly dir: string;
  readonly state: MountState;
  /**
   * Makes the empty files upon which disks are mounted.
   *
   * @returns their paths
   * @throws TSB_OUTPUT_EXISTS when a name is taken, TSB_OUTPUT_UNUSABLE
   */
  makeFiles(names: readonly string[]): Promise<readonly string[]>;
}

/**
 * Takes the folder `dir`, which is made if it is missing, for the mount of `src`. From now on a guard takes the mount down if this
 * process dies. What a mount left there whose server and guard were both killed is removed first.
 *
 * @throws TSB_LOCKED when something is mounted there already, TSB_OUTPUT_UNUSABLE when it cannot be used
 */
export async function openMountPlace(
  dir: string,
  { src, signal }: { readonly src: string; readonly signal?: AbortSignal | undefined },
): Promise<MountPlace> {
  const planned = await plannedState(dir);
  const { state, record } = await withMountLock(planned, () => claimFolder(dir, { src, planned }), signal);
  const guard = startGuard(state);
  return {
    dir: record.dir,
    state,
    async makeFiles(names) {
      const files = names.map((name) => join(record.dir, name));
      await assertFree(files);
      await writeRecord(state, { ...record, files });
      for (const file of files) await makeStub(file);
      return files;
    },
    async [Symbol.asyncDispose]() {
      await takeDown(state, ownServer());
      await guard.dismiss();
    },
  };
}

interface Claim {
  readonly state: MountState;
  readonly record: Omit<MountRecord, 'server' | 'files'>;
}

/** Makes the folder this process's, with all that has to be done while nobody else does the same. */
async function claimFolder(
  dir: string,
  { src, planned }: { readonly src: string; readonly planned: MountState },
): Promise<Claim> {
  await removeRemains(planned);
  const madeDir = await makeFolder(dir);
  try {
    const record = { dir: await resolveFolder(dir), madeDir, src };
    return { state: await claimMount(record), record };
  } catch (error) {
    if (madeDir) await rmdir(dir).catch(() => undefined);
    throw error;
  }
}

/** @returns whether it was made */
async function makeFolder(dir: string): Promise<boolean> {
  try {
    await mkdir(dir);
    return true;
  } catch (error) {
    const found = await stat(dir).catch(() => undefined);
    if (found?.isDirectory()) return false;
    const problem = found ? 'is not a folder' : `cannot be made: ${messageOf(error)}`;
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${dir}: ${problem}`, {
      hint: 'Name a folder to mount in.',
      cause: error,
    });
  }
}

/** Before anything else: the folder itself may be what remains. */
async function removeRemains(state: MountState): Promise<void> {
  const record = await readRecord(state);
  if (record && !serverRuns(record)) await takeDownLocked(state, record.server);
}

/** An empty file may be what is left of an earlier mount, and is as good as a new one. */
async function assertFree(files: readonly string[]): Promise<void> {
  const [mounted] = await mountedAmong(files);
  for (const file of files) {
    const found = await stat(file).catch(() => undefined);
    if (mounted !== file && (!found || (found.isFile() && found.size === 0))) continue;
    throw new TsbuilderError(
      'TSB_OUTPUT_EXISTS',
      `${file}: exists already, and would be hidden by the mount`,
      {
        hint: `Mount in another folder than ${dirname(file)}, or move ${basename(file)} away.`,
        details: { path: file },
      },
    );
  }
}

async function makeStub(file: string): Promise<void> {
  try {
    await writeFile(file, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${file}: cannot be made: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

interface Guard {
  /** Lets it end: there is nothing left to do. */
  dismiss(): Promise<void>;
}

/** Its standard input is a pipe of which only this process has the other end. */
function startGuard(state: MountState): Guard {
  const script = fileURLToPath(new URL('./mount-guard.js', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, resolve(state.folder), ownServer()], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  const ended = new Promise<void>((done) => {
    child.once('error', () => done());
    child.once('exit', () => done());
  });
  child.stdin?.on('error', () => undefined);
  return {
    async dismiss() {
      child.stdin?.end();
      await ended;
    },
  };
}
