// Boots the disk behind an NBD URI to its login prompt: `tsx bench/boot.ts URI`.
import { bootUntil } from '../test/helpers/qemu.js';

const [uri = ''] = process.argv.slice(2);
await bootUntil({ path: uri, format: 'raw', write: true }, /^debian login: /m);
