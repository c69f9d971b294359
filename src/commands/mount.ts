import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { blockCacheFlags, imageFlags, inputFormatFlag, resolveSize } from '../flags.js';
import type { Progress } from '../progress.js';
import type { MountRequest, Mounted } from '../serve/run-mount.js';

export default class Mount extends BaseCommand<typeof Mount> {
  static override summary = 'Show the disk in an image as a file: DIR/disk.img, without unpacking it.';
  static override description = `For raw, xz, gzip, zstd and qcow2 images, local or over HTTP, and templates. Needs no root, but nbdfuse (Debian package libnbd-bin)
and fuse3. The command returns when the files can be used; a process in the background serves them until tsbuilder umount DIR.
With --foreground it serves them itself until a signal. If the server is killed, the files go too. DIR is made if it is missing,
and may hold other files; none of theirs is hidden. Unmount with tsbuilder umount DIR, or fusermount3 -u DIR/disk.img.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> disk.img.xz /mnt/image && cmp /mnt/image/disk.img disk.img',
    '<%= config.bin %> <%= command.id %> https://example.com/disk.qcow2 image --partitions && debugfs -R "ls -l /" image/p1',
    '<%= config.bin %> <%= command.id %> debian-12 image --cow --foreground',
  ];
  static override args = {
    src: Args.string({
      description: 'image file, http(s) URL or template name',
      required: true,
      ignoreStdin: true,
    }),
    dir: Args.string({ description: 'folder in which the files appear', required: true, ignoreStdin: true }),
  };
  static override flags = {
    partitions: Flags.boolean({
      default: false,
      description: 'show each partition too: DIR/p1, DIR/p2 ...',
      exclusive: ['partition'],
    }),
    partition: Flags.integer({
      char: 'p',
      helpValue: 'N',
      min: 1,
      max: 128,
      description: 'show only partition N, as DIR/disk.img',
    }),
    format: inputFormatFlag({ aliases: ['input-format'] }),
    cow: Flags.boolean({
      default: false,
      description:
        'let the files be written to; changes go to the temporary folder (TMPDIR) and are thrown away at the end',
    }),
    foreground: Flags.boolean({ description: 'serve until a signal or until the files are unmounted' }),
    option: Flags.string({
      char: 'o',
      helpValue: 'OPT',
      multiple: true,
      multipleNonGreedy: true,
      description: 'option for FUSE, such as allow_other (repeatable; nbdfuse --fuse-help lists them)',
    }),
    ...blockCacheFlags,
    ...imageFlags,
    background: Flags.boolean({ hidden: true, exclusive: ['foreground'] }),
  };

  protected override async execute(): Promise<unknown> {
    if (this.flags.background) return this.serveInBackground();
    if (this.flags.foreground) return this.serveHere();
    const { startInBackground } = await import('../serve/background.js');
    const { progress, signal } = this;
    const mounted = (await startInBackground(['mount', '--background', ...this.argv], {
      progress,
      signal,
    })) as Mounted;
    await this.tell(mounted);
    return mounted;
  }

  private async serveHere(): Promise<unknown> {
    const { runMount } = await import('../serve/run-mount.js');
    const { statsObject } = await import('../serve/stats.js');
    const { printableJson } = await import('../io/printable.js');
    const { progress, signal } = this;
    const onReady = (mounted: Mounted): void => {
      if (this.jsonEnabled())
        process.stdout.write(`${printableJson({ ready: mounted }).replace(/\n */g, '')}\n`);
      else void this.tell(mounted);
    };
    const log = (line: string): void => progress.warn(line);
    const request = await this.request(progress);
    return { stats: statsObject(await runMount({ ...request, log, onReady, signal })) };
  }

  /** The process that another one of this command has started. */
  private async serveInBackground(): Promise<unknown> {
    const { connectToForeground } = await import('../serve/background.js');
    const { appendLog } = await import('../serve/mount-log.js');
    const { runMount } = await import('../serve/run-mount.js');
    const foreground = connectToForeground();
    try {
      const request = await this.request(foreground.progress);
      const log = appendLog(request.dir);
      const onReady = (mounted: Mounted): void => {
        foreground.ready(mounted);
        // No folder is kept busy by a process that nobody sees.
        process.chdir('/');
      };
      const signal = AbortSignal.any([this.signal, foreground.abandoned]);
      await runMount({ ...request, log, onReady, signal });
    } catch (error) {
      foreground.failed(error);
      throw error;
    }
    return undefined;
  }

  private async request(progress: Progress): Promise<Omit<MountRequest, 'log' | 'onReady' | 'signal'>> {
    const { defaultCacheBytes } = await import('../serve/cache-bytes.js');
    const { decodeJobs } = await import('../io/native.js');
    const { templateQuery } = await import('../ui/template-query.js');
    const { args, flags, signal } = this;
    return {
      src: args.src,
      dir: args.dir,
      cow: flags.cow,
      partitions: flags.partitions,
      fuseOptions: flags.option ?? [],
      open: {
        cacheBytes: flags['cache-size'] ? resolveSize(flags['cache-size'], 0) : defaultCacheBytes(),
        spill: flags['cache-file'],
        jobs: decodeJobs(flags.jobs),
        partition: flags.partition,
        format: flags.format,
        templates: templateQuery(flags, { progress, signal }),
        arch: flags.arch,
        requireVerified: flags['require-verified'],
        http: { connections: flags.connections },
        progress,
      },
    };
  }

  private async tell(mounted: Mounted): Promise<void> {
    const { formatSize } = await import('../io/format-size.js');
    if (this.flags.quiet) return;
    for (const { path, size } of mounted.files) this.log(`${path}: ${formatSize(size)}`);
    this.log(`${mounted.format}: ${mounted.protection}.`);
    if (!this.flags.foreground) this.log(`Unmount: tsbuilder umount '${mounted.dir}'`);
  }
}
