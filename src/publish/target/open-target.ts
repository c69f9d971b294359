import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { redactUrl } from '../../io/redact-url.js';
import { parseLocation } from '../../io/source-location.js';
import { folderTarget } from './folder-target.js';
import type { PublishTarget } from './publish-target.js';
import { rsyncTarget } from './rsync-target.js';
import { type S3Options, openBucket } from './s3/s3-bucket.js';
import { parseS3Location } from './s3/s3-location.js';
import { s3Target } from './s3/s3-target.js';

/**
 * The place that `text` names, as rsync reads it: `host:path` and `rsync://` are for rsync, `s3://` is a bucket, `file://` and all else is
 * a folder (also `./a:b`).
 *
 * @param dir folder of the repository
 * @throws TSB_USAGE for other schemes, for a folder that is, or is inside of, the repository, and for options of S3 with another target;
 *   TSB_TOOL_MISSING
 */
export async function openTarget(dir: string, text: string, options: S3Options = {}): Promise<PublishTarget> {
  if (text === '' || text.startsWith('-')) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)}: is not the name of a target`, {
      hint: 'A folder whose name begins with a dash: ./-NAME',
    });
  }
  if (/^s3:\/\//i.test(text)) return s3Target(await openBucket(parseS3Location(text), options));
  if (Object.values(options).some((value) => value !== undefined))
    throw new TsbuilderError('TSB_USAGE', '--endpoint, --region and --path-style are for s3:// targets only');
  if (/^rsync:\/\/./i.test(text)) return rsyncTarget(resolve(dir), text);
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  if (!isUrl && /^[^/:]+:/.test(text)) return rsyncTarget(resolve(dir), text);
  const location = parseLocation(text);
  if (location.kind === 'file') return folderTarget(await outsideOf(dir, resolve(location.path)));
  throw new TsbuilderError('TSB_USAGE', `${redactUrl(text)}: nothing can be sent by HTTP`, {
    hint: 'Give a folder, host:path, rsync://host/module/path or s3://BUCKET/PREFIX.',
  });
}

async function outsideOf(dir: string, folder: string): Promise<string> {
  const from = await whereIs(resolve(dir));
  const to = await whereIs(folder);
  if (!`${to}${sep}`.startsWith(`${from}${sep}`)) return folder;
  const what = from === to ? 'is the repository' : 'is in the repository';
  throw new TsbuilderError('TSB_USAGE', `${folder}: ${what} that is to be published`, {
    hint: 'Name another folder.',
  });
}

/** An absolute path without symbolic links, also of what is not there yet: a repository that is missing is told when it is read. */
function whereIs(path: string): Promise<string> {
  return realpath(path).catch(async () =>
    dirname(path) === path ? path : join(await whereIs(dirname(path)), basename(path)),
  );
}
