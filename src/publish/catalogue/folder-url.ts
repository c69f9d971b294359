import { TsbuilderError } from '../../errors.js';
import { redactUrl } from '../../io/redact-url.js';

/**
 * The URL of a folder as commands on the page name it: without slashes at its end, blanks and the like written as `%20`.
 *
 * @throws TSB_USAGE when it is no http(s) URL, or has a user, a password, a query or a fragment, which no name can be put behind
 */
export function folderUrl(text: string): string {
  const found = /^https?:\/\/[^/]/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!found) throw refusal(text, 'is not an http(s) URL');
  if (found.username !== '' || found.password !== '')
    throw refusal(text, 'everybody could read the password');
  if (/[?#]/.test(text))
    throw refusal(text, 'has a query or a fragment, and names of files cannot follow it');
  return found.href.replace(/\/+$/, '');
}

function refusal(text: string, why: string): TsbuilderError {
  return new TsbuilderError('TSB_USAGE', `--url ${JSON.stringify(redactUrl(text))}: ${why}`, {
    hint: 'For example: --url https://example.org/repo',
  });
}
