/**
 * `url` fit for a message or a log: without user name, password and fragment, and with its query (where signed URLs
 * carry their keys) replaced by `?...`. Text that is no URL with a host is returned as it is.
 */
export function redactUrl(url: string | URL): string {
  const parsed = typeof url === 'string' ? parse(url) : new URL(url);
  if (!parsed || parsed.host === '') return String(url);
  const query = parsed.search === '' ? '' : '?...';
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${query}`;
}

function parse(text: string): URL | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}
