import type { TemplateQuery } from '../build/open-templates.js';
import type { HttpOptions } from '../io/http-client.js';
import type { NbdAddress } from '../nbd/listen.js';
import type { NbdExport } from '../nbd/nbd-options.js';
import type { TlsCredentials } from '../nbd/tls.js';
import type { Progress } from '../progress.js';
import type { EndCause } from './ending.js';
import type { ExportPlan } from './exports.js';
import type { MetricsAddress } from './metrics.js';
import type { ServedFormat } from './served-disk.js';
import type { ServerState } from './stats.js';

/** What to serve, where and how. */
export interface ServeRequest {
  readonly plan: ExportPlan;
  readonly address: NbdAddress;
  readonly tls?: { readonly credentials: TlsCredentials; readonly mode: 'allow' | 'require' } | undefined;
  /** Serve this partition of each disk. */
  readonly partition?: number | undefined;
  /** What each file is taken to be. Default: what it looks like. */
  readonly format?: ServedFormat | undefined;
  /** Let clients write to a throw-away overlay. */
  readonly cow: boolean;
  /** Memory for decoded content, in bytes: shared evenly by the exports. */
  readonly cacheBytes: number;
  /** Where decoded content is kept that memory has no room for. */
  readonly cacheFile?: string | undefined;
  readonly jobs: number;
  readonly requireVerified: boolean;
  readonly templates: TemplateQuery;
  readonly arch?: string | undefined;
  readonly http?: HttpOptions | undefined;
  readonly pidfile?: string | undefined;
  /** A command line to run beside the server, which ends with it. */
  readonly run?: { readonly command: string; readonly stdout: 'stdout' | 'stderr' } | undefined;
  /** The process with which the server ends. */
  readonly parent?: number | undefined;
  /** End when the last client has gone. */
  readonly exitLast: boolean;
  readonly metrics?: MetricsAddress | undefined;
  /** Called once, when clients can connect. */
  readonly onReady: (ready: ServeReady) => void;
  /** Called on SIGUSR1. */
  readonly onStatsWanted: (state: ServerState) => void;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A server to which clients can connect. */
export interface ServeReady {
  readonly pid: number;
  /** The URI of the default export; absent when the server was handed a socket without a name. */
  readonly uri: string | undefined;
  readonly tls: 'off' | 'allow' | 'require';
  readonly exports: readonly (Omit<ServedExport, 'disk'> & { readonly uri: string | undefined })[];
  /** URL of the metrics. */
  readonly metrics: string | undefined;
}

/** How a server ended. */
export interface ServeResult {
  /** Of the command that ran beside it, otherwise 0. */
  readonly status: number;
  readonly endedBy: EndCause | 'command';
  readonly state: ServerState;
}

/** An open disk and what is told about it. */
export interface ServedExport extends NbdExport {
  /** Path, redacted URL or name of the template. */
  readonly src: string;
  /** Virtual size in bytes. */
  readonly size: number;
  readonly format: string;
  /** What protects the data from being something else than it should be: words for people. */
  readonly protection: string;
  readonly writable: boolean;
}
