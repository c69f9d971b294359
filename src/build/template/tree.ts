import { chmod, mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exec } from '../../io/exec.js';
import { archiveKeyOptions } from './archive-key.js';
import type { TemplateContext } from './context.js';
import { aptProxyOptions, buildSources } from './mirror.js';
import { execMounting, isRoot } from './root.js';
import type { Recipe, RecipeFile } from './schema.js';
import { textFile } from './text-file.js';

/** What a layout puts into the tree, and what it runs there before the recipe's script. */
export interface TreeAdditions {
  readonly files: readonly RecipeFile[];
  readonly script: string;
}

/**
 * Installs a recipe's packages into a fresh tree with mmdebstrap, puts its files in, runs its script there, and packs
 * the tree as a tar file with its owners, modes and extended attributes.
 *
 * @returns the path of the tar file
 * @throws TSB_TOOL_MISSING, TSB_TOOL_FAILED with the end of what mmdebstrap said, and the codes of `archiveKeyOptions`
 */
export async function makeTree(context: TemplateContext, layout: TreeAdditions): Promise<string> {
  const { recipe, identity, workDir, progress, signal } = context;
  const tar = join(workDir, 'tree.tar');
  const overlay = await packFiles(context, [...systemFiles(context), ...layout.files, ...recipe.files]);
  const { suite, architecture, variant, packages } = recipe.debian;
  const sources = await buildSources(context);
  const keyOptions = await archiveKeyOptions(context, sources);
  using _ = progress.step(`Installing ${packages.length} packages and what they need`);
  const debianPackage = 'mmdebstrap';
  await exec('mmdebstrap', ['--version'], { signal, debianPackage });
  // It tells its usage, with status 1.
  if (!isRoot()) await exec('newuidmap', [], { signal, debianPackage: 'uidmap', okStatus: [1] });
  // As root it mounts /proc, /sys and /dev/pts in the tree, and does not see to a namespace itself.
  await execMounting(
    'mmdebstrap',
    [
      `--mode=${isRoot() ? 'root' : 'unshare'}`,
      '--format=tar',
      `--variant=${variant}`,
      `--architectures=${architecture}`,
      ...(await aptProxyOptions(signal)).map((option) => `--aptopt=${option}`),
      ...keyOptions,
      ...packages.map((name) => `--include=${name}`),
      ...preseedHook(recipe.debian.preseed),
      ...lastHooks(variant, [
        `tar-in ${quote(overlay)} /`,
        `chroot "$1" ${shellOf(variant)} -eu -c ${quote(`${layout.script}\n${recipe.script}`)}`,
        // Holds the options above, which are about the machine that makes the template.
        'rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"',
      ]),
      suite,
      tar,
      ...sources,
    ],
    {
      signal,
      env: { SOURCE_DATE_EPOCH: String(identity.epoch), TMPDIR: workDir, TZ: 'UTC' },
      debianPackage,
      onStderr: (text) => progress.detail(text.trimEnd()),
    },
  );
  return tar;
}

/** What every template has, whatever its recipe says; a recipe's own file of the same path wins. */
function systemFiles(context: TemplateContext): RecipeFile[] {
  const { hostname, debian } = context.recipe;
  const hosts = [
    '127.0.0.1 localhost',
    `127.0.1.1 ${hostname}`,
    '::1 localhost ip6-localhost ip6-loopback',
    'ff02::1 ip6-allnodes',
    'ff02::2 ip6-allrouters',
  ];
  return [
    textFile('/etc/hostname', [hostname]),
    textFile('/etc/hosts', hosts),
    textFile('/etc/apt/sources.list', debian.sources),
  ];
}

/** Packs `files` as a tar file, owned by root and dated to the epoch; of two with one path the later is used. */
async function packFiles(context: TemplateContext, files: readonly RecipeFile[]): Promise<string> {
  const { workDir, identity, signal } = context;
  const staging = join(workDir, 'overlay');
  for (const { path, content, mode } of files) {
    const staged = join(staging, path);
    await mkdir(dirname(staged), { recursive: true });
    await writeFile(staged, content);
    await chmod(staged, Number.parseInt(mode, 8));
    await utimes(staged, identity.epoch, identity.epoch);
  }
  const overlay = join(workDir, 'overlay.tar');
  const names = [...new Set(files.map(({ path }) => `.${path}`))].sort();
  // Only files, not their folders: those of the tree keep their modes.
  await exec(
    'tar',
    [
      ...[
        '--create',
        '--file',
        overlay,
        '--directory',
        staging,
        '--no-recursion',
        '--null',
        '--files-from=-',
      ],
      ...['--owner=0', '--group=0', '--numeric-owner'],
    ],
    { input: names.join('\0'), signal },
  );
  return overlay;
}

/** The last hooks that mmdebstrap runs: packages that are only unpacked are never customized. */
function lastHooks(variant: Recipe['debian']['variant'], commands: readonly string[]): string[] {
  return commands.map((command) => `--${variant === 'extract' ? 'extract' : 'customize'}-hook=${command}`);
}

/** The shell of a tree: where packages are only unpacked none has become /bin/sh. */
function shellOf(variant: Recipe['debian']['variant']): string {
  return variant === 'extract' ? '/bin/busybox sh' : '/bin/sh';
}

function preseedHook(lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const words = lines.map(quote).join(' ');
  return [`--essential-hook=printf '%s\\n' ${words} | chroot "$1" debconf-set-selections`];
}

/** `text` as one word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
