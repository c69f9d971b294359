import { Agent, request } from 'undici';

// Reads the URL in its argument slowly through undici's own body, in which it has undici pause. Now and then the connection's end meets it
// when it does not: so it does that several times.
const dispatcher = new Agent();
for (let turn = 0; turn < 8; turn += 1) {
  const { body } = await request(process.argv[2] ?? '', { dispatcher, highWaterMark: 1000 });
  for await (const _ of body) await new Promise((resolve) => setTimeout(resolve, 5));
}
await dispatcher.close();
