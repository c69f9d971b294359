import { exec } from '../../io/exec.js';
import type { Mirrors, TemplateContext } from './context.js';

/**
 * The recipe's package sources with the mirrors to use now: those asked for, else those that this machine's own apt uses
 * for the same suite (a company's mirror, say), else the recipe's.
 */
export async function buildSources(context: TemplateContext): Promise<string[]> {
  const { recipe, mirrors, signal } = context;
  const own = parseTargets(
    await quietly('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(CODENAME)'], signal),
  );
  return recipe.debian.sources.map((source) => replaceMirror(source, mirrors, own));
}

/** `source`, a line of sources.list, with its address replaced where `mirrors` or `own` (by suite) has another. */
export function replaceMirror(source: string, mirrors: Mirrors, own: ReadonlyMap<string, string>): string {
  const [type, uri, suite, ...components] = source.split(/\s+/);
  const wanted = suite?.endsWith('-security') ? mirrors.securityMirror : mirrors.mirror;
  return [type, wanted ?? own.get(suite ?? '') ?? uri, suite, ...components].join(' ');
}

/**
 * Reads lines of address and suite names; only plain http and https addresses count, without user names and passwords,
 * since what works for apt on this machine by other means may not work inside the tree.
 */
export function parseTargets(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [uri, ...suites] = line.trim().split(/\s+/);
    if (uri === undefined || !/^https?:\/\/[^@\s]+$/.test(uri)) continue;
    for (const suite of suites) if (!found.has(suite)) found.set(suite, uri.replace(/\/$/, ''));
  }
  return found;
}

/** This machine's proxy settings for apt, as lines of apt.conf. */
export async function aptProxyOptions(signal?: AbortSignal): Promise<string[]> {
  const args = ['dump', '--no-empty', '--format', '%F "%v";%n'];
  const text = await quietly(
    'apt-config',
    [...args, 'Acquire::http::Proxy', 'Acquire::https::Proxy'],
    signal,
  );
  return text.split('\n').filter((line) => /^Acquire::https?::Proxy\S* "[^"]+";$/.test(line));
}

/**
 * The proxy for `url` that lines of apt.conf, as `aptProxyOptions` gives them, speak of; `no` for a direct connection, undefined
 * when they say nothing about it. That of one server goes before that of all.
 */
export function proxyFor(url: string, options: readonly string[]): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname } = new URL(url);
  const kind = `Acquire::${protocol.slice(0, -1)}::Proxy`;
  for (const name of [`${kind}::${hostname}`, kind]) {
    const line = options.find((option) => option.startsWith(`${name} "`));
    if (line !== undefined) return /"(.*)"/.exec(line)?.[1]?.replace(/^DIRECT$/, 'no');
  }
  return undefined;
}

/** What a program prints, or nothing when it is missing or fails: not every machine has apt. */
async function quietly(file: string, args: readonly string[], signal?: AbortSignal): Promise<string> {
  try {
    return (await exec(file, args, { signal })).stdout;
  } catch {
    signal?.throwIfAborted();
    return '';
  }
}
