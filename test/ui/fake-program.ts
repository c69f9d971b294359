// The fake command as a process of its own, started as the real program starts its commands.
import { flush, handle } from '@oclif/core';
import { Fake } from './fake-command.js';

await Fake.run(process.argv.slice(2), process.cwd()).then(() => flush(), handle);
