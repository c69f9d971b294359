import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type ApplianceChannel, CHANNEL_DEVICE } from './appliance-channel.js';
import { toByteString } from './byte-path.js';
import type { ScriptResult } from './appliance-session.js';
import type { GuestfishShell } from './appliance-shell.js';
import { lineReporter } from './line-reporter.js';

const MAX_OUTPUT = 1024 * 1024;

/** In the guest; guestfish puts random characters in the place of the last ones. */
const FOLDER = '/tmp/tsbuilder-XXXXXX';

/** What the environment of this process says about proxies is true for its appliance too, whose network is this one's. */
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy'];

/**
 * Runs the script in the folder given as its first word, keeps what it prints there and sends it through the channel while it runs, ends
 * what it has left running (its files would keep the filesystems from being unmounted), and appends what it printed to
 * the log given as the second word, unless that is `-`.
 */
const DRIVER = `d=$1 log=$2
cd / || exit
exec </dev/null
: >"$d/output"
{ [ -c ${CHANNEL_DEVICE} ] && exec tail -c +1 -f "$d/output" >${CHANNEL_DEVICE}; } 2>/dev/null &
( . "$d/environment"; exec /bin/sh "$d/script" ) >>"$d/output" 2>&1
echo $? >"$d/status"
end_processes() {
  for process in /proc/[0-9]*; do
    id=\${process#/proc/}
    [ "$id" = $$ ] || ! [ "$process/root" -ef / ] || kill -"$1" "$id"
  done
}
end_processes TERM 2>/dev/null
end_processes KILL 2>/dev/null
[ "$log" = - ] || cat "$d/output" >>"$log"
exit 0
`;

/** What {@link runScript} needs besides the script. */
export interface RunContext {
  readonly shell: GuestfishShell;
  readonly channel: ApplianceChannel;
  /** A folder of this machine for files on their way. */
  readonly folder: string;
  /** A file of the guest to append the output to. */
  readonly log?: string | undefined;
  /** Gets what the script prints while it runs, line by line. */
  readonly onLine: (line: string) => void;
}

/** Runs a shell script in the mounted guest and returns how it ended. @throws TSB_TOOL_FAILED */
export async function runScript(script: string, context: RunContext): Promise<ScriptResult> {
  const { shell, folder, log } = context;
  if ((await shell.send('is-dir', '/tmp')).toString() !== 'true\n')
    await shell.send('mkdir-mode', '/tmp', '01777');
  const inside = (await shell.send('mkdtemp', FOLDER)).toString('latin1').trim();
  const files = { driver: DRIVER, script, environment: environmentText() };
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    await shell.send('upload', toByteString(path), `${inside}/${name}`);
  }
  const lines = lineReporter(context.onLine);
  context.channel.listen(lines.take);
  try {
    await shell.send('command', `/bin/sh ${inside}/driver ${inside} ${logWord(log)}`);
  } finally {
    context.channel.listen(undefined);
  }
  const { status, tail, skipped } = await readResult(shell, inside);
  lines.finish(tail, skipped);
  await shell.send('rm-rf', inside);
  return { status, output: tail.toString('utf8') };
}

/** Within an argument that is a list, which has a quoting of its own. */
function logWord(log: string | undefined): string {
  if (log === undefined) return '-';
  if (/^\/[A-Za-z0-9_./-]+$/.test(log)) return log;
  throw new TsbuilderError('TSB_INTERNAL', `${JSON.stringify(log)} cannot be a log`);
}

function environmentText(): string {
  const proxies = PROXY_VARIABLES.flatMap((name) => {
    const value = process.env[name] ?? process.env[name.toUpperCase()];
    return value ? [`export ${name}='${value.replaceAll(`'`, `'\\''`)}'`] : [];
  });
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return [`export PATH=${path} HOME=/root TERM=dumb`, ...proxies, ''].join('\n');
}

/** How a script ended, and the last bytes that it printed after `skipped` others. */
async function readResult(
  shell: GuestfishShell,
  inside: string,
): Promise<{ status: number; tail: Buffer; skipped: number }> {
  const status = Number.parseInt((await shell.send('cat', `${inside}/status`)).toString('latin1'), 10);
  const size = Number.parseInt((await shell.send('filesize', `${inside}/output`)).toString('latin1'), 10);
  if (!Number.isSafeInteger(status) || !Number.isSafeInteger(size)) {
    throw new TsbuilderError('TSB_TOOL_FAILED', 'the guest does not say how the script ended');
  }
  const length = Math.min(size, MAX_OUTPUT);
  const skipped = size - length;
  if (length === 0) return { status, tail: Buffer.alloc(0), skipped };
  return {
    status,
    tail: await shell.send('pread', `${inside}/output`, String(length), String(skipped)),
    skipped,
  };
}
