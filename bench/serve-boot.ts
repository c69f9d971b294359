import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startTestServer } from '../test/helpers/http-server.js';
import type { Contender } from './measure.js';

/** A web server with the template, on the loopback interface. */
export async function startTemplateServer(
  template: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = await startTestServer({ '/debian-12.xz': { data: await readFile(template) } });
  return { url: `${server.url}/debian-12.xz`, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** From nothing to a login prompt: the server started, the disk read from `url` as the guest asks for it. */
export function booters(cli: string, url: string): Contender[] {
  const boot = `"${process.execPath}" --import tsx "${join(import.meta.dirname, 'boot.ts')}" "$uri"`;
  return [
    {
      name: 'tsbuilder serve URL --cow',
      command: [process.execPath, cli, 'serve', url, '--cow', '--run', boot, '--quiet'],
      makes: [],
      rounds: 3,
    },
    {
      name: 'nbdkit cow, xz, curl',
      command: ['nbdkit', '-U', '-', '--filter=cow', '--filter=xz', 'curl', `url=${url}`, '--run', boot],
      makes: [],
      rounds: 1,
    },
    {
      name: 'nbdkit cow, xz (64 blocks), curl',
      command: [
        'nbdkit',
        '-U',
        '-',
        '--filter=cow',
        '--filter=xz',
        'curl',
        `url=${url}`,
        'xz-max-depth=64',
        '--run',
        boot,
      ],
      makes: [],
      rounds: 1,
    },
  ];
}
