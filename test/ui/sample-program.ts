import { Args, Flags } from '@oclif/core';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programModel, type CommandSource, type ProgramModel } from '../../src/ui/command-model.js';

const verbose = Flags.boolean({ char: 'v', description: 'print details' });

function command(id: string, rest: Partial<CommandSource>): CommandSource {
  return { id, aliases: [], args: {}, flags: {}, ...rest } as CommandSource;
}

const named = (flags: Record<string, object>): CommandSource['flags'] =>
  Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, { ...flag, name }]),
  ) as CommandSource['flags'];

/** Commands of every shape: default command, topics, choices, files, folders, repeated options, hostile texts. */
export const sampleCommands: readonly CommandSource[] = [
  command('build', {
    summary: 'Build a disk',
    description: 'Builds a disk with <%= config.bin %>.',
    args: { name: Args.string({ description: 'template to build' }) },
    examples: [
      '<%= config.bin %> debian-12 --size 10G',
      { description: 'As qcow2:', command: '<%= config.bin %> <%= command.id %> debian-12 --format qcow2' },
    ],
    flags: named({
      format: Flags.option({ options: ['raw', 'qcow2', 'vmdk'] as const })({
        description: 'format of the disk',
      }),
      size: Flags.string({ char: 's', helpValue: 'SIZE', description: 'size [of] the disk: 10G' }),
      output: Flags.string({ char: 'o', helpValue: 'FILE', description: "the user's file; `rm` $(id)" }),
      compress: Flags.string({ helpValue: 'zlib|zstd', description: 'values checked elsewhere' }),
      cache: Flags.string({ helpValue: 'DIR', description: 'cache folder' }),
      base: Flags.string({ helpValue: 'NAME', description: 'another template' }),
      source: Flags.string({ helpValue: 'URL', multiple: true, description: 'a source' }),
      sync: Flags.boolean({ allowNo: true, description: 'flush' }),
      secret: Flags.boolean({ hidden: true, description: 'hidden option' }),
      verbose,
    }),
  }),
  command('cache:list', { summary: 'List cached templates', flags: named({ verbose }) }),
  command('cache:fetch', {
    summary: 'Fetch templates',
    strict: false,
    args: { name: Args.string({ required: true, description: 'templates' }) },
  }),
  command('source:add', {
    summary: 'Add a source',
    args: { name: Args.string({ required: true }), uri: Args.string({ required: true }) },
  }),
  command('unxz', {
    summary: 'Decompress',
    aliases: ['decompress'],
    args: { src: Args.string({ required: true }), out: Args.string({}) },
  }),
  command('decompress', { summary: 'Decompress', aliases: ['decompress'] }),
  command('internal', { summary: 'hidden command', hidden: true }),
  command('completion', {
    summary: 'Print a completion script',
    args: { shell: Args.string({ required: true, options: ['bash', 'zsh', 'fish'] }) },
  }),
];

export const sampleProgram: ProgramModel = programModel({
  bin: 'tsbuilder',
  version: '1.2.3',
  pjson: { description: 'Build disks' },
  commands: sampleCommands,
});

/** A list of templates with lines that a shell must neither offer nor run. */
const LISTING = `debian-12                x86_64     Debian 12 (bookworm)
debian-13                x86_64     Debian 13
fedora_40.1              aarch64    Fedora
$(touch\${IFS}pwned)     x86_64     command substitution
\`touch\${IFS}pwned\`     x86_64     backquotes
deb;touch\${IFS}pwned    x86_64     separator
deb'quote                x86_64     quote
debian*                  x86_64     glob
`;

/** A folder with a fake `tsbuilder` that lists templates when it is called as completion must call it. */
export interface SampleFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes the folder: `tsbuilder`, the files `alpha.img` and `alpha beta.img`, and the folder `album`. */
export async function sampleFolder(): Promise<SampleFolder> {
  const path = await mkdtemp(join(tmpdir(), 'tsbuilder-completion-'));
  await writeFile(join(path, 'listing.txt'), LISTING);
  await writeFile(
    join(path, 'tsbuilder'),
    `#!/bin/sh
[ "$*" = '--list --list-format short --offline --quiet' ] || exit 2
echo 'noise on standard error' >&2
cat ${join(path, 'listing.txt')}
`,
  );
  await chmod(join(path, 'tsbuilder'), 0o755);
  await writeFile(join(path, 'alpha.img'), '');
  await writeFile(join(path, 'alpha beta.img'), '');
  await mkdir(join(path, 'album'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
