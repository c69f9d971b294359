// One of many processes that want the same template: it reads all of it, verifies it and says where it was from.
import { openTemplateCache } from '../../src/index-repo/template-cache.js';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';

const [, , dir = '', entryJson = ''] = process.argv;
const entry = JSON.parse(entryJson) as TemplateEntry;
const cache = openTemplateCache(dir);
await using handle = await cache.fetch(entry, { http: { firstDelayMs: 1, maxDelayMs: 5 } });
await handle.source.read(0, handle.source.size);
await handle.verify();
process.stdout.write(handle.origin);
