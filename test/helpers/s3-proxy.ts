import { type IncomingMessage, type ServerResponse, createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request on its way to the server. */
export interface S3Asked {
  readonly method: string;
  /** With the query, as `/bucket/key?uploads`. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Takes the body off the request, which can then not be passed on any more. */
  body(): Promise<Buffer>;
}

/** What becomes of a request: nothing special, a broken connection, silence, or an answer with an error in the way of S3. */
export type S3Fate = 'pass' | 'drop' | 'hang' | { readonly status: number; readonly code?: string };

/** A server in front of `endpoint` that passes on what `fate` lets it. */
export async function startS3Proxy(
  endpoint: string,
  fate: (asked: S3Asked) => S3Fate | Promise<S3Fate>,
): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const found = await fate({ method, url, headers, body: () => buffer(request) });
    if (found === 'pass') {
      passOn(endpoint, request, response);
      return;
    }
    request.resume();
    if (found === 'drop') request.socket.destroy();
    if (typeof found === 'string') return;
    const { status, code = 'Error' } = found;
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(method === 'HEAD' || status < 300 ? '' : `<Error><Code>${code}</Code></Error>`);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function passOn(endpoint: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers, url = '' } = request;
  const onward = httpRequest(`${endpoint}${url}`, { method, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (method === 'HEAD') response.end();
    else answer.pipe(response);
  });
  // Swift sends a body after the headers that a HEAD asks for.
  onward.once('error', () => method === 'HEAD' || response.destroy());
  request.pipe(onward);
}
