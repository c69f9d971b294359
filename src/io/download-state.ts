import { renameSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { HttpIdentity } from './http-identity.js';
import { redactUrl } from './redact-url.js';

/** What is noted beside a partial file, so that another process can go on with it. */
export interface DownloadState extends HttpIdentity {
  /** Redacted: the note holds no credentials. */
  readonly url: string;
}

const MAX_STATE = 64 * 1024;

/** The name of the note beside the partial file `path`. */
function statePath(path: string): string {
  return `${path}.json`;
}

/**
 * The note beside `path`, when it is about `url` and holds a validator to resume with; otherwise undefined. A damaged
 * note counts as none.
 */
export async function readDownloadState(path: string, url: string): Promise<DownloadState | undefined> {
  const text = await readFile(statePath(path), 'utf8').catch(() => '');
  if (text.length > MAX_STATE) return undefined;
  const state = parseState(text);
  if (state?.url !== redactUrl(url)) return undefined;
  return state.etag === undefined && state.lastModified === undefined ? undefined : state;
}

/** Writes the note beside `path`, whole or not at all. @throws a system error when the folder cannot be written */
export function writeDownloadState(path: string, url: string, identity: HttpIdentity): void {
  const { size, etag, lastModified } = identity;
  const temporary = `${statePath(path)}.new`;
  writeFileSync(temporary, JSON.stringify({ url: redactUrl(url), size, etag, lastModified }), {
    mode: 0o600,
  });
  renameSync(temporary, statePath(path));
}

/** Removes a partial file and its note. */
export async function removePartial(path: string): Promise<void> {
  await Promise.all(
    [path, statePath(path), `${statePath(path)}.new`].map((name) => rm(name, { force: true })),
  );
}

function parseState(text: string): DownloadState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { url, size, etag, lastModified } = value as Record<string, unknown>;
  if (typeof url !== 'string') return undefined;
  return { url, size: asSize(size), etag: asHeader(etag), lastModified: asHeader(lastModified) };
}

function asSize(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** A validator goes back into a request header: only what a header may hold. */
function asHeader(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\x20-\x7e]{1,1024}$/.test(value) ? value : undefined;
}
