import { mkdtemp, rm } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type Page, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bytesSource } from '../../../src/io/byte-source.js';
import { opaqueDisk } from '../../../src/io/disk-source.js';
import { type Catalogue, cataloguePage } from '../../../src/publish/catalogue/catalogue-page.js';
import { readUsage } from '../../../src/publish/disk-usage.js';
import { drawPicture } from '../../../src/publish/picture/draw-picture.js';
import { planPicture } from '../../../src/publish/picture/plan-picture.js';
import { openFileSource } from '../../../src/io/file-source.js';
import { SMALL_DEBIAN, makeSystemDisk } from '../../helpers/system-disk.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const FINGERPRINT = 'AB'.repeat(20);
const HOSTILE = `<img src=x onerror="document.title='hit'"><script>document.title='hit'</script>'"></pre>`;

let profile: string;
let browser: BrowserContext;
let server: Server;
let picture: string;
/** What the server answers with, and what it was asked for. */
let html = '';
let asked: string[] = [];

beforeAll(async () => {
  profile = await mkdtemp(join(tmpdir(), 'tsbuilder-chromium-'));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    chromiumSandbox: false,
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url !== '/') return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await using file = await openFileSource(makeSystemDisk(SMALL_DEBIAN));
  const disk = opaqueDisk(bytesSource('disk', await file.read(0, file.size)));
  const usage = await readUsage(disk, { signal: new AbortController().signal });
  picture = drawPicture(planPicture(usage, { name: 'small', cells: 768 }), { id: 'disk0' });
});
afterAll(async () => {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
});

function catalogue(fields: Partial<Catalogue['templates'][number]> = {}): Catalogue {
  const template = {
    ...{
      name: 'debian-12',
      fullName: 'Debian 12 (bookworm)',
      osinfo: 'debian12',
      arch: 'x86_64',
      revision: '3',
    },
    ...{ size: 4 * 1024 ** 3, compressedSize: 123 * 1024 ** 2, aliases: ['latest'], expand: '/dev/sda1' },
    notes: { '': 'Root has no password.\nLog in with a key.', de: 'Root hat kein Passwort.' },
    picture,
    ...fields,
  };
  return {
    ...{ name: 'example.org', url: 'https://example.org/repo', isUrlKnown: true, fingerprint: FINGERPRINT },
    signedAt: new Date('2026-01-02T03:04:05Z'),
    templates: [template, { ...template, name: 'tiny', fullName: undefined, notes: {}, picture: undefined }],
  };
}

/** The page in a browser, with all that it complained about, and all that it asked for besides itself. */
async function visit(of: Catalogue, width = 1000): Promise<{ page: Page; complaints: string[] }> {
  html = cataloguePage(of);
  asked = [];
  const page = await browser.newPage();
  await page.setViewportSize({ width, height: 900 });
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin())) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(`${origin()}/`);
  return { page, complaints };
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Whether two boxes have more than a pixel of each other. */
function overlap(a: Box | null, b: Box | null): boolean {
  if (!a || !b) throw new Error('not visible');
  const along = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return along > 1 && down > 1;
}

const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('the catalogue page in Chromium', () => {
  it('shows what there is, without complaints, and asks for nothing else', async () => {
    const { page, complaints } = await visit(catalogue());
    const article = page.locator('article').first();
    const text = await article.innerText();
    for (const part of ['debian-12', '4 GiB', '123 MiB', 'Log in with a key.', 'latest'])
      expect(text).toContain(part);
    expect(await page.getByText(FINGERPRINT).first().isVisible()).toBe(true);
    const box = await article.locator('svg').boundingBox();
    expect(box?.width).toBeGreaterThan(500);
    expect(await article.locator('svg rect').count()).toBeGreaterThan(10);
    const words = article.locator('svg text');
    const boxes = await Promise.all((await words.all()).map((one) => one.boundingBox()));
    expect(boxes.length).toBeGreaterThan(8);
    expect(boxes.flatMap((one, at) => boxes.slice(at + 1).filter((next) => overlap(one, next)))).toEqual([]);
    expect(complaints).toEqual([]);
    expect(asked.filter((path) => path !== '/favicon.ico')).toEqual(['/']);
  });

  it('gives a whole command to copy on one click', async () => {
    const { page } = await visit(catalogue());
    await page.locator('article summary', { hasText: 'Build it' }).first().click();
    const command = page.locator('article pre.command').first();
    await command.click();
    await page.keyboard.press('Control+C');
    const copied = await page.evaluate('navigator.clipboard.readText()');
    expect(copied).toBe(
      `tsbuilder debian-12 --source https://example.org/repo/index.asc --key key.asc --fingerprint ${FINGERPRINT}`,
    );
  });

  it('runs nothing of what an index or a disk says', async () => {
    const evil = { name: HOSTILE, fullName: HOSTILE, osinfo: HOSTILE, arch: HOSTILE, notes: { '': HOSTILE } };
    const { page, complaints } = await visit({
      ...catalogue({ ...evil, aliases: [HOSTILE] }),
      name: HOSTILE,
    });
    expect(await page.title()).toContain('<img src=x');
    expect(await page.locator('img, script, iframe').count()).toBe(0);
    expect(await page.locator('article').first().innerText()).toContain('<script>');
    expect(complaints).toEqual([]);
    // Also if a tag got through: the policy of the page forbids scripts.
    html = cataloguePage(catalogue()).replace('<main>', `<main><script>document.title='hit'</script>`);
    await page.goto(`${origin()}/`);
    expect(await page.title()).not.toBe('hit');
    expect(complaints.join()).toContain('Content Security Policy');
  });

  it('holds hundreds of templates, also with texts that run from the right: headings in order, links that lead somewhere', async () => {
    const [one] = catalogue().templates;
    if (!one) throw new Error('no template');
    const names = ['שלום', '\u202Efdp.exe', ...Array.from({ length: 200 }, (_, at) => `debian-${at}`)];
    const templates = names.map((name) => ({
      ...one,
      name,
      fullName: `${name} \u2067x`,
      picture: undefined,
    }));
    const { page, complaints } = await visit({ ...catalogue(), templates: [one, ...templates] });
    expect(await page.locator('article').count()).toBe(203);
    // Nothing turns the text behind it round.
    expect(await page.locator('body').innerText()).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
    expect(await page.locator('h1').count()).toBe(1);
    expect(await page.getByRole('heading', { level: 2 }).count()).toBe(204);
    expect(await page.getByRole('img', { name: 'small: allocation of the disk' }).count()).toBe(1);
    const dangling = `[...document.links].map((link) => link.getAttribute('href')).filter((href) => href.startsWith('#') ? !document.querySelector(href) : /[:/]/.test(href))`;
    expect(await page.evaluate(dangling)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it.each([320, 390])('fits a screen of %i pixels', async (width) => {
    const long = { name: 'a'.repeat(80), fullName: 'b'.repeat(150), notes: { '': 'c'.repeat(500) } };
    for (const of of [catalogue(), catalogue(long)]) {
      const { page } = await visit(of, width);
      for (const summary of await page.locator('article summary', { hasText: 'Build it' }).all())
        await summary.click();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      await page.close();
    }
  });
});
