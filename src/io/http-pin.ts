import type { HttpClient, HttpRequest, HttpResponse } from './http-client.js';

/**
 * A URL that is resolved once: requests go straight to where its redirects led. When that place fails (an expired
 * signed URL, a mirror that lost the file), the redirects are followed afresh.
 */
export interface PinnedUrl {
  /** @throws as HttpClient.request */
  request(request: HttpRequest): Promise<HttpResponse>;
}

const GONE = [403, 404, 410];

/** Pins what `url` leads to. */
export function pinUrl(client: HttpClient, url: string): PinnedUrl {
  const original = new URL(url);
  original.hash = '';
  let pinned = original;
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    const target = pinned;
    try {
      const response = await client.request(target, request);
      if (response.status < 300) pinned = response.url;
      else if (response.status !== 412 && response.status !== 416) unpin(target);
      return response;
    } catch (error) {
      unpin(target);
      throw error;
    }
  };
  const unpin = (failed: URL): void => {
    if (pinned === failed) pinned = original;
  };
  return {
    async request(request) {
      const usedPin = pinned !== original;
      const response = await send(request);
      if (!usedPin || !GONE.includes(response.status)) return response;
      response.discard();
      return send(request);
    },
  };
}
