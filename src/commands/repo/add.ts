import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.js';
import { packJobsFlag, resolveSize, sizeFlag } from '../../flags.js';
import type { AddResult } from '../../publish/repo/add-template.js';
import { keepFlag, signerFlags, signerRequest } from '../../ui/repo-flags.js';

const DEFAULT_BLOCK = 16 * 1024 ** 2;

export default class RepoAdd extends BaseCommand<typeof RepoAdd> {
  static override summary = 'Publish a disk: inspect it, pack it, and add it to a signed repository.';
  static override description =
    'Architecture, name, osinfo id, and the partition and volume to grow are read from the disk unless given. A disk of the same name and architecture is replaced; its revision grows when the content changed; its notes and aliases stay, and it stays hidden, unless others are given. The disk is only read. A packed .xz is taken as it is after it was decoded once.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./repo disk.qcow2 debian-12',
    '<%= config.bin %> <%= command.id %> ./repo disk.img my-os --alias latest --notes notes.txt --notes de=notizen.txt',
    {
      description: 'What would be published',
      command: '<%= config.bin %> <%= command.id %> ./repo disk.img my-os --dry-run',
    },
  ];
  static override args = {
    dir: Args.string({ description: 'folder of the repository', required: true, ignoreStdin: true }),
    disk: Args.string({
      description: 'disk image, block device or packed .xz',
      required: true,
      ignoreStdin: true,
    }),
    name: Args.string({ description: 'what users type', required: true, ignoreStdin: true }),
  };
  static override flags = {
    arch: Flags.string({ helpValue: 'ARCH', description: 'architecture, as uname -m names it' }),
    'full-name': Flags.string({ helpValue: 'TEXT', description: 'one line for lists' }),
    osinfo: Flags.string({ helpValue: 'ID', description: 'libosinfo id' }),
    notes: Flags.string({
      helpValue: '[LANG=]FILE|TEXT',
      multiple: true,
      multipleNonGreedy: true,
      description: "notes for users, once for each language; what is no file is the text; '' for none",
    }),
    alias: Flags.string({
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
      description: "another name; '' for none",
    }),
    hidden: Flags.boolean({ allowNo: true, description: 'leave it out of lists' }),
    expand: Flags.string({ helpValue: 'PART', description: 'partition to grow, such as /dev/sda2' }),
    lvexpand: Flags.string({ helpValue: 'LV', description: 'logical volume to grow, such as /dev/vg/root' }),
    preset: Flags.string({
      helpValue: '0-9[e]',
      default: '6',
      description: 'how much time and memory packing may use',
    }),
    'block-size': sizeFlag({ description: 'content of each block (default: 16M)' }),
    sparsify: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'pack what the filesystems do not use as zeros',
    }),
    reuse: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'take packed blocks whose content is the same from the present revision',
    }),
    keep: keepFlag,
    jobs: packJobsFlag,
    'dry-run': Flags.boolean({ description: 'show what would be published, and do nothing' }),
    ...signerFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { addDisk } = await import('../../publish/repo/add-template.js');
    const { repositorySigners } = await import('../../publish/repo/open-signers.js');
    const { readNotes } = await import('../../ui/read-notes.js');
    const { encodeJobs } = await import('../../io/native.js');
    const { args, flags, progress, signal } = this;
    const { arch, osinfo, expand, lvexpand, hidden, preset, sparsify, reuse } = flags;
    const aliases = flags.alias?.filter((alias) => alias !== '');
    const warn = (message: string): void => progress.warn(message);
    const signers = await repositorySigners(args.dir, signerRequest(flags, this));
    const notes = flags.notes === undefined ? undefined : await readNotes(flags.notes, warn);
    const result = await addDisk({
      publisher: { dir: args.dir, signers, keep: flags.keep, expiresMs: flags.expires, warn },
      disk: args.disk,
      fields: {
        name: args.name,
        arch,
        fullName: flags['full-name'],
        osinfo,
        expand,
        lvexpand,
        hidden,
        aliases,
        notes,
      },
      blockSize: flags['block-size'] ? resolveSize(flags['block-size'], 0) : DEFAULT_BLOCK,
      ...{ preset, sparsify, reuse, check: 'crc64' },
      jobs: encodeJobs(flags.jobs),
      dryRun: flags['dry-run'],
      progress,
      signal,
    });
    if (!flags.quiet) await this.show(result);
    const { entry, published, packed } = result;
    return { ...entry, ...published, reusedBlocks: packed?.reusedBlocks, dryRun: flags['dry-run'] };
  }

  private async show({ entry, published, packed }: AddResult): Promise<void> {
    const { formatSize } = await import('../../io/format-size.js');
    const { printable } = await import('../../io/printable.js');
    const { name, arch, fullName, size, expand, lvexpand } = entry;
    const grows = lvexpand ?? expand ?? 'nothing';
    this.log(printable(`${name} (${arch}): ${fullName ?? 'no name'}, ${formatSize(size)}, grows ${grows}`));
    if (!published) return;
    const { path, revision, compressedSize, changed } = published;
    const reused = packed?.reusedBlocks
      ? `; ${packed.reusedBlocks} blocks taken from the revision before`
      : '';
    this.log(
      `${path}: ${formatSize(compressedSize)}, revision ${revision}${changed ? '' : ' (unchanged)'}${reused}`,
    );
  }
}
