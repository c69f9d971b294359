import { ERROR_CODES, EXIT, type ExitClass } from '../errors.js';
import { bold, italic, roffText, section, tagged } from './roff.js';

const CLASSES: Readonly<Record<ExitClass, string>> = {
  internal: 'A fault of tsbuilder itself.',
  usage:
    'Wrong use: an unknown option or command, a value that makes no sense, a size too small for the template.',
  notFound: 'No such template, or no source to take it from.',
  signature: 'An index that is not signed as it must be, or cannot be read, or a key that cannot be used.',
  checksum: 'Content that is damaged or is not what the index says: checksum, size, xz data, disk image.',
  network: 'The network: no connection, time-out, a refusing server, or no cached copy for --offline.',
  disk: 'The output or the cache: it exists, cannot be written, is locked, or the disk is full.',
  guest: "The disk's content: partition table, file system, or a tool that failed on it.",
  missingTool: 'A program that this task needs is not installed.',
  interrupted: 'Stopped by SIGINT, SIGTERM or SIGHUP.',
  brokenPipe: 'The reader of standard output went away.',
};

/** EXIT STATUS: each status, its class, and the codes of the errors that end with it. */
export function exitStatusSection(): string {
  const classes = (Object.entries(EXIT) as [ExitClass, number][]).sort(([, a], [, b]) => a - b);
  return section('EXIT STATUS', [
    tagged('0', 'Success.'),
    ...classes.map(([name, status]) => {
      const codes = Object.entries(ERROR_CODES).flatMap(([code, owner]) => (owner === name ? [code] : []));
      const list = codes.length > 0 ? `\n.br\n${codes.map((code) => roffText(code)).join(', ')}` : '';
      return tagged(String(status), `${roffText(CLASSES[name])}${list}`);
    }),
    '.PP',
    `Errors end with their code in brackets; with ${bold('--json')} standard output is one object`,
    `{"error": {"code", "message", "hint", "details", "exit"}}.`,
  ]);
}

// HOME, PATH and what children take from the environment act as usual.
const ENVIRONMENT: readonly (readonly [name: string, text: string])[] = [
  ['XDG_CACHE_HOME', 'where the cache is, in its folder tsbuilder (default: ~/.cache)'],
  ['XDG_CONFIG_HOME', 'where the sources are, in its folder tsbuilder (default: ~/.config)'],
  [
    'XDG_DATA_HOME',
    'where the own repository and its key are, in its folder tsbuilder (default: ~/.local/share)',
  ],
  [
    'XDG_STATE_HOME',
    'where it is remembered how new the signatures of the sources were, in its folder tsbuilder (default: ~/.local/state)',
  ],
  ['XDG_RUNTIME_DIR', 'where running mounts are noted (default: the folder of the state)'],
  ['TSBUILDER_DATA_DIR', 'one folder in place of XDG_DATA_HOME/tsbuilder and XDG_STATE_HOME/tsbuilder'],
  ['VIRT_BUILDER_DIRS', 'where the sources of virt-builder are, in its folders (default: /etc)'],
  [
    'TSBUILDER_TIMEOUT',
    'how many seconds a server may be silent (default: 30); attempts go on for four times that',
  ],
  ['TMPDIR', 'where downloads go that are not kept (default: /var/tmp)'],
  ['http_proxy, https_proxy, no_proxy', 'proxies for downloads, also in capitals'],
  ['LANGUAGE, LC_ALL, LC_MESSAGES, LANG', "the language of templates' notes"],
  ['TSBUILDER_PASSPHRASE', 'the passphrase of the key that signs a repository'],
  [
    'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE',
    'credentials for s3:// targets, as for other AWS tools',
  ],
  ['AWS_REGION, AWS_DEFAULT_REGION', 'the region of an s3:// target'],
  ['AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3', 'the S3 server of an s3:// target (default: Amazon)'],
  ['TSBUILDER_XZ', 'lzma-native: decode with the bundled library, not with the liblzma of the system'],
  ['TSBUILDER_LIBLZMA', 'the liblzma to load, by path or soname'],
  ['UV_THREADPOOL_SIZE', 'threads for decoding and file access (default: 4 more than CPUs, at least 8)'],
  ['LIBGUESTFS_BACKEND, LIBGUESTFS_BACKEND_SETTINGS', 'how guestfish starts its appliance (default: direct)'],
  ['SOURCE_DATE_EPOCH', 'the time that goes into templates built here, in seconds since 1970'],
  ['TERM', 'dumb: print timed lines in place of a spinner'],
  ['NO_COLOR', 'set: use no colours'],
  ['DEBUG', 'set: add the stack trace to error messages'],
];

/** ENVIRONMENT: the variables that the program reads. */
export function environmentSection(): string {
  return section(
    'ENVIRONMENT',
    ENVIRONMENT.map(([name, text]) => tagged(bold(name), roffText(text))),
  );
}

const FILES: readonly (readonly [name: string, text: string])[] = [
  ['~/.config/tsbuilder/repos.d/*.conf', 'sources of this user; they come before those of the system'],
  ['/etc/tsbuilder/repos.d/*.conf', 'sources of the system'],
  ['~/.config/virt-builder/repos.d, /etc/virt-builder/repos.d', "virt-builder's sources, read as well"],
  ['~/.cache/tsbuilder', 'downloaded templates, by checksum, and the last verified indexes'],
  ['~/.local/share/tsbuilder/repository', 'the templates built here, with their signed index'],
  ['~/.local/share/tsbuilder/keys/repository.asc', 'the secret key of that index'],
  ['~/.local/state/tsbuilder', 'how new the signatures of the sources were, against rollback'],
];

/** FILES: what the program reads and keeps. */
export function filesSection(): string {
  return section(
    'FILES',
    FILES.map(([name, text]) => tagged(italic(name), roffText(text))),
  );
}
