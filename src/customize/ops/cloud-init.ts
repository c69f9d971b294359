import * as v from 'valibot';
import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { textOrObject } from '../text-or-object.js';
import { type SeedChoice, readSeedFiles, seedHostFiles } from '../cloud-init/seed-files.js';
import type { CustomizeContext, FileOperationKind } from '../operation-kind.js';

const SEED = '/var/lib/cloud/seed/nocloud';

const file = v.pipe(
  v.string(),
  v.nonEmpty('the name of a file is missing'),
  v.regex(/^[^\0]*$/, 'has a NUL'),
);

/** Gives cloud-init in the guest its data from the disk itself, without a datasource outside. */
export const cloudInit: FileOperationKind<SeedChoice> = {
  name: 'cloud-init',
  argument: 'USER-DATA[:META-DATA[:NETWORK-CONFIG]]',
  summary:
    "Put user data for cloud-init into the guest (a NoCloud seed); metadata is made when it isn't given.",
  runs: 'offline',
  schema: textOrObject(
    parseSeedChoice,
    v.strictObject({ userData: file, metaData: v.optional(file), networkConfig: v.optional(file) }),
  ),
  parse: parseSeedChoice,
  hostFiles: seedHostFiles,
  describe: ({ userData }) => `give cloud-init the user data of ${userData}`,
  apply: seedCloudInit,
};

/**
 * Reads `USER-DATA[:META-DATA[:NETWORK-CONFIG]]`; META-DATA may be empty.
 *
 * @throws TSB_USAGE
 */
function parseSeedChoice(text: string): SeedChoice {
  const [userData = '', metaData = '', networkConfig = '', ...more] = text.split(':');
  if (userData === '' || more.length > 0 || text.includes('\0')) {
    throw new TsbuilderError('TSB_USAGE', '--cloud-init: must be USER-DATA[:META-DATA[:NETWORK-CONFIG]]', {
      hint: 'Names with a colon can be given in a YAML list.',
    });
  }
  return {
    userData,
    ...(metaData === '' ? {} : { metaData }),
    ...(networkConfig === '' ? {} : { networkConfig }),
  };
}

async function seedCloudInit(guest: Guest, choice: SeedChoice, context: CustomizeContext): Promise<void> {
  const files = await readSeedFiles(choice, context);
  await guest.mkdir(SEED, { parents: true });
  for (const name of ['user-data', 'meta-data', 'network-config'] as const) {
    const data = files.get(name);
    const path = `${SEED}/${name}`;
    if (data) await guest.writeFile(path, data, { mode: 0o600, uid: 0, gid: 0 });
    else if (await guest.exists(path)) await guest.remove(path);
  }
  await warnOfObstacles(guest, context);
}

/** What would keep cloud-init from ever seeing the seed. */
async function warnOfObstacles(guest: Guest, context: CustomizeContext): Promise<void> {
  const installed =
    (await guest.exists('/usr/bin/cloud-init')) || (await guest.exists('/etc/cloud/cloud.cfg'));
  if (!installed) {
    context.warn(
      `${guest.name}: cloud-init is not installed in the guest, so nothing will read its user data`,
    );
  } else if (await guest.exists('/etc/cloud/cloud-init.disabled')) {
    context.warn(`${guest.name}: cloud-init is disabled in the guest by /etc/cloud/cloud-init.disabled`);
  }
}
