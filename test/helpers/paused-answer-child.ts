import { Agent, request } from 'undici';

// Reads the URL in its argument slowly through undici's own body, in which it has undici pause.
const dispatcher = new Agent();
const { body } = await request(process.argv[2] ?? '', { dispatcher, highWaterMark: 1000 });
for await (const _ of body) await new Promise((resolve) => setTimeout(resolve, 5));
await dispatcher.close();
