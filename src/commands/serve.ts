import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.js';
import { TsbuilderError } from '../errors.js';
import { blockCacheFlags, imageFlags, inputFormatFlag, resolveSize } from '../flags.js';
import type { NbdAddress } from '../nbd/listen.js';
import type { ServeReady, ServeRequest } from '../serve/serve-request.js';
import type { ServerState } from '../serve/stats.js';

/** Who started this program: asked as early as can be. */
const startedBy = process.ppid;

export default class Serve extends BaseCommand<typeof Serve> {
  static override summary =
    'Serve images over NBD: any byte of a raw, xz, gzip, zstd or qcow2 image, without unpacking it.';
  static override description = `Each SRC is a path, an http(s) URL or the name of a template. One SRC is the default export; of several each gets the last part
of its path or URL as its name, and the first is the default; --export gives names. Only what clients ask for is read and decoded.
Listens on 127.0.0.1:10809 unless told otherwise, on a private Unix socket with --run, and on the sockets that systemd or libnbd
hands over. SIGTERM and SIGINT end it with status 0 when requests in flight have been answered; a second signal ends it at once.
SIGUSR1 prints statistics. With --run the status is that of the command, 130 when Ctrl-C ended it. Memory is what --cache-size allows, 8 MiB for each connection
whose client is slow to read, and what the decoders need. With --cow what clients write goes to files in the temporary folder, which
TMPDIR changes; they have no names, and their space is free again at the end.`;
  static override examples = [
    { description: 'On 127.0.0.1:10809', command: '<%= config.bin %> <%= command.id %> disk.img.xz' },
    {
      description: 'Copy a remote image',
      command: `<%= config.bin %> <%= command.id %> https://example.com/disk.img.xz --run 'nbdcopy "$uri" disk.img'`,
    },
    {
      description: 'Boot a template; what the guest writes is thrown away',
      command: `<%= config.bin %> <%= command.id %> debian-12 --cow --run 'qemu-system-x86_64 -m 1G -drive file="$uri",format=raw,if=virtio'`,
    },
    {
      description: 'Two images for other machines, with TLS',
      command:
        '<%= config.bin %> <%= command.id %> --export a=a.qcow2 --export b=b.img.gz --tcp *:10809 --tls-certificates /etc/pki/nbd',
    },
    {
      description: 'Started by the client',
      command: 'nbdinfo [ <%= config.bin %> <%= command.id %> disk.img.xz ]',
    },
  ];
  static override args = {
    src: Args.string({
      description: 'paths, http(s) URLs or templates',
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    export: Flags.string({
      helpValue: 'NAME=SRC',
      multiple: true,
      multipleNonGreedy: true,
      description: 'serve SRC as export NAME (repeatable)',
    }),
    partition: Flags.integer({
      helpValue: 'N',
      min: 1,
      max: 128,
      description: 'serve only partition N of each SRC',
    }),
    format: inputFormatFlag({ aliases: ['input-format'] }),
    cow: Flags.boolean({
      description:
        'let clients write, to files in the temporary folder (TMPDIR) that are thrown away at the end',
    }),

    tcp: Flags.string({
      helpValue: 'ADDRESS:PORT',
      description:
        'listen on TCP: ADDRESS:PORT, [IPV6]:PORT, *:PORT for all addresses, or PORT (default: 127.0.0.1:10809)',
      exclusive: ['unix'],
      helpGroup: 'LISTEN',
    }),
    unix: Flags.string({
      char: 'U',
      helpValue: 'FILE',
      description: 'listen on a Unix socket; - for a private one, removed at the end',
      helpGroup: 'LISTEN',
    }),
    tls: Flags.option({ options: ['off', 'allow', 'require'] as const })({
      description:
        'whether clients may or must use TLS (default: require, if there are certificates or keys)',
      helpGroup: 'LISTEN',
    }),
    'tls-certificates': Flags.string({
      helpValue: 'DIR',
      description: 'folder with ca-cert.pem, server-cert.pem and server-key.pem',
      exclusive: ['tls-psk'],
      helpGroup: 'LISTEN',
    }),
    'tls-psk': Flags.string({
      helpValue: 'FILE',
      description: 'keys shared with the clients: lines USER:HEXKEY, as psktool writes them',
      helpGroup: 'LISTEN',
    }),
    'tls-verify-peer': Flags.boolean({
      description: 'let in only clients with a certificate of the CA',
      helpGroup: 'LISTEN',
    }),
    metrics: Flags.string({
      helpValue: 'ADDRESS:PORT',
      description: 'answer GET /metrics there, for Prometheus',
      helpGroup: 'LISTEN',
    }),

    run: Flags.string({
      helpValue: 'CMD',
      description:
        'run CMD by /bin/sh with $uri, $nbd, $unixsocket, $port and $exportname set, and end with it',
      exclusive: ['exit-last'],
      helpGroup: 'LIFE',
    }),
    'exit-last': Flags.boolean({ description: 'end when the last client has gone', helpGroup: 'LIFE' }),
    'exit-with-parent': Flags.boolean({
      description: 'end when the process that started this one has ended',
      helpGroup: 'LIFE',
    }),
    pidfile: Flags.string({
      helpValue: 'FILE',
      description: 'write the process number there when clients can connect; removed at the end',
      helpGroup: 'LIFE',
    }),
    stats: Flags.boolean({ description: 'print statistics at the end', helpGroup: 'LIFE' }),

    ...blockCacheFlags,

    ...imageFlags,
  };

  protected override async execute(): Promise<unknown> {
    const { runServe } = await import('../serve/run-serve.js');
    const { statsObject, formatStats } = await import('../serve/stats.js');
    const { formatServeReady } = await import('../ui/serve-summary.js');
    const { printableJson } = await import('../io/printable.js');
    const { flags } = this;
    const json = this.jsonEnabled();
    const printStats = (state: ServerState): void => {
      const text = json ? JSON.stringify({ stats: statsObject(state) }) : formatStats(state);
      process.stderr.write(`${text}\n`);
    };
    const request = await this.request();
    // A command has the same standard output, and whoever hands over a socket (libnbd) may write there too.
    const standardOutputIsOurs = flags.run === undefined && request.address.kind !== 'activation';
    const onReady = (ready: ServeReady): void => {
      // One line, so that whoever reads it knows when it has come; the result follows at the end.
      if (json) process.stdout.write(`${printableJson({ ready }).replace(/\n */g, '')}\n`);
      else if (standardOutputIsOurs && !flags.quiet) this.log(formatServeReady(ready));
      else this.progress.detail(formatServeReady(ready).replace(/\s*\n\s*/g, '; '));
    };
    const result = await runServe({ ...request, onReady, onStatsWanted: printStats });
    if (flags.stats && !json) printStats(result.state);
    process.exitCode = result.status;
    return { status: result.status, endedBy: result.endedBy, stats: statsObject(result.state) };
  }

  private async request(): Promise<Omit<ServeRequest, 'onReady' | 'onStatsWanted'>> {
    const { planExports } = await import('../serve/exports.js');
    const { defaultCacheBytes } = await import('../serve/cache-bytes.js');
    const { decodeJobs } = await import('../io/native.js');
    const { templateQuery } = await import('../ui/template-query.js');
    const { flags, progress, signal } = this;
    const json = this.jsonEnabled();
    return {
      plan: planExports(this.args.src ?? [], flags.export ?? []),
      address: await this.address(),
      tls: this.tls(),
      partition: flags.partition,
      format: flags.format,
      cow: flags.cow,
      cacheBytes: flags['cache-size'] ? resolveSize(flags['cache-size'], 0) : defaultCacheBytes(),
      cacheFile: flags['cache-file'],
      jobs: decodeJobs(flags.jobs),
      requireVerified: flags['require-verified'],
      templates: templateQuery(flags, this),
      arch: flags.arch,
      http: { connections: flags.connections },
      pidfile: flags.pidfile,
      run: flags.run === undefined ? undefined : { command: flags.run, stdout: json ? 'stderr' : 'stdout' },
      parent: flags['exit-with-parent'] ? startedBy : undefined,
      exitLast: flags['exit-last'],
      metrics: await this.metrics(),
      progress,
      signal,
    };
  }

  private async address(): Promise<NbdAddress> {
    const { takeActivationSockets } = await import('../nbd/socket-activation.js');
    const { parseTcpAddress } = await import('../nbd/tcp-address.js');
    const { tcp, unix, run } = this.flags;
    const fds = takeActivationSockets(process.env, process.pid);
    if (fds.length > 0) {
      if (tcp === undefined && unix === undefined) return { kind: 'activation', fds };
      throw new TsbuilderError(
        'TSB_USAGE',
        'a socket was handed over (LISTEN_FDS), and another one is asked for',
        {
          hint: 'Leave --tcp and --unix out.',
        },
      );
    }
    if (unix !== undefined) return { kind: 'unix', path: unix === '-' ? undefined : unix };
    if (tcp === undefined && run !== undefined) return { kind: 'unix', path: undefined };
    return { kind: 'tcp', ...parseTcpAddress(tcp ?? '10809') };
  }

  private tls(): ServeRequest['tls'] {
    const { tls: mode, 'tls-certificates': folder, 'tls-psk': path } = this.flags;
    if (this.flags['tls-verify-peer'] && folder === undefined) {
      throw new TsbuilderError('TSB_USAGE', '--tls-verify-peer needs the CA whose clients are let in', {
        hint: 'Give --tls-certificates DIR too.',
      });
    }
    if (folder === undefined && path === undefined) {
      if (mode === undefined || mode === 'off') return undefined;
      throw new TsbuilderError('TSB_USAGE', `--tls ${mode} needs certificates or keys`, {
        hint: 'Give --tls-certificates DIR or --tls-psk FILE.',
      });
    }
    if (mode === 'off') {
      throw new TsbuilderError('TSB_USAGE', '--tls off leaves no use for certificates or keys', {
        hint: 'Leave --tls out, or --tls-certificates and --tls-psk.',
      });
    }
    const verifyPeer = this.flags['tls-verify-peer'];
    return {
      mode: mode ?? 'require',
      credentials:
        path === undefined
          ? { kind: 'certificates', folder: folder ?? '', verifyPeer }
          : { kind: 'psk', path },
    };
  }

  private async metrics(): Promise<ServeRequest['metrics']> {
    if (this.flags.metrics === undefined) return undefined;
    const { parseTcpAddress } = await import('../nbd/tcp-address.js');
    const { host, port } = parseTcpAddress(this.flags.metrics);
    return { host: host ?? '::', port };
  }
}
