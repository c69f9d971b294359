import type { Dispatcher } from 'undici';
import { TsbuilderError } from '../errors.js';
import { stallTimeout } from './http-timeout.js';
import { redactUrl } from './redact-url.js';

/** How connections are made. */
export interface ConnectionOptions {
  /**
   * `no` or `off`: connect directly; a URL: through that proxy; `system` or nothing: what the environment says
   * (`http_proxy`, `https_proxy`, `no_proxy`, in lower or upper case).
   */
  readonly proxy?: string | undefined;
  /** Longest silence, in milliseconds, while connecting, waiting for an answer, or in the middle of one. Default: `stallTimeout()`. */
  readonly stallMs?: number | undefined;
  /** Connections to one server at once. Default: as many as there are requests. */
  readonly connections?: number | undefined;
}

/**
 * An undici dispatcher of our own; the process-wide one, which Node's `fetch` shares, is left alone. Plain http goes
 * through a proxy as a plain request, because many proxies refuse CONNECT to port 80; https is tunnelled.
 *
 * @throws TSB_USAGE when the proxy setting is not a URL
 */
export async function openDispatcher(options: ConnectionOptions): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent, ProxyAgent } = await import('undici');
  const { proxy = 'system', stallMs = stallTimeout(), connections } = options;
  const agent = {
    headersTimeout: stallMs,
    bodyTimeout: stallMs,
    connect: { timeout: stallMs },
    ...(connections !== undefined && { connections }),
  };
  if (proxy === 'no' || proxy === 'off') return new Agent(agent);
  if (proxy !== 'system') return new ProxyAgent({ ...agent, uri: proxyUrl(proxy), proxyTunnel: false });
  return new EnvHttpProxyAgent({
    ...agent,
    proxyTunnel: false,
    ...environmentProxy('httpProxy', ['http_proxy', 'HTTP_PROXY']),
    ...environmentProxy('httpsProxy', ['https_proxy', 'HTTPS_PROXY']),
  });
}

function environmentProxy(
  option: 'httpProxy' | 'httpsProxy',
  names: readonly string[],
): Record<string, string> {
  const value = names.map((name) => process.env[name]).find((text) => text !== undefined && text !== '');
  return value === undefined ? {} : { [option]: proxyUrl(value) };
}

/** Proxies are often written without a scheme (`proxy:3128`), which means http. */
function proxyUrl(text: string): string {
  const url = text.includes('://') ? text : `http://${text}`;
  if (URL.canParse(url) && /^(https?|socks5?):$/.test(new URL(url).protocol)) return url;
  throw new TsbuilderError(
    'TSB_USAGE',
    `${redactUrl(url.replace(/\/\/[^/]*@/, '//'))}: is not the URL of a proxy`,
    {
      hint: 'Write http://HOST:PORT, or no, off or system.',
    },
  );
}
