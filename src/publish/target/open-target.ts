import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { redactUrl } from '../../io/redact-url.js';
import { parseLocation } from '../../io/source-location.js';
import { folderTarget } from './folder-target.js';
import type { PublishTarget } from './publish-target.js';
import { rsyncTarget } from './rsync-target.js';

/**
 * The place that `text` names, as rsync reads it: `host:path` and `rsync://` are for rsync, `file://` and all else is a folder (also
 * `./a:b`).
 *
 * @param dir folder of the repository
 * @throws TSB_USAGE for `s3://` and other schemes, and for a folder that is, or is inside of, the repository
 */
export async function openTarget(dir: string, text: string): Promise<PublishTarget> {
  if (text === '' || text.startsWith('-')) {
    throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)}: is not the name of a target`, {
      hint: 'A folder whose name begins with a dash: ./-NAME',
    });
  }
  if (/^s3:\/\//i.test(text)) {
    throw new TsbuilderError('TSB_USAGE', `${redactUrl(text)}: s3:// is not supported yet`, {
      hint: 'Publish to a folder, and copy that: templates and block maps first, index.asc last.',
    });
  }
  if (/^rsync:\/\/./i.test(text)) return rsyncTarget(resolve(dir), text);
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  if (!isUrl && /^[^/:]+:/.test(text)) return rsyncTarget(resolve(dir), text);
  const location = parseLocation(text);
  if (location.kind === 'file') return folderTarget(await outsideOf(dir, resolve(location.path)));
  throw new TsbuilderError('TSB_USAGE', `${redactUrl(text)}: nothing can be sent by HTTP`, {
    hint: 'Give a folder, host:path or rsync://host/module/path.',
  });
}

async function outsideOf(dir: string, folder: string): Promise<string> {
  const [from, to] = await Promise.all([realpath(dir), realpath(folder).catch(() => folder)]);
  if (!`${to}${sep}`.startsWith(`${from}${sep}`)) return folder;
  throw new TsbuilderError('TSB_USAGE', `${folder}: is in the repository that is to be published`);
}
