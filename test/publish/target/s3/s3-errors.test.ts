import { expect, it } from 'vitest';
import { s3Error } from '../../../../src/publish/target/s3/s3-errors.js';

const asked = { name: 's3://bucket/', bucket: 'bucket', endpoint: 'http://127.0.0.1:1' };

function failed(name: string, httpStatusCode: number): unknown {
  return s3Error(Object.assign(new Error('of the library'), { name, $metadata: { httpStatusCode } }), asked);
}

it.each([
  ['RequestTimeTooSkewed', 403, 'TSB_CREDENTIALS', 'clock'],
  ['ExpiredToken', 400, 'TSB_CREDENTIALS', 'expired'],
  ['SlowDown', 503, 'TSB_HTTP_STATUS', 'HTTP status 503: SlowDown: of the library'],
])('says what %s is', (name, status, code, words) => {
  expect(failed(name, status)).toMatchObject({ code, message: expect.stringContaining(words) as unknown });
});

it.each(['Error', 'Unknown', 'SyntaxError'])(
  'takes %s for the answer of something else than an S3 server',
  (name) => {
    expect(failed(name, 404)).toMatchObject({
      code: 'TSB_HTTP_STATUS',
      message: 's3://bucket/: the server answered with HTTP status 404, not in the way of S3',
      hint: expect.stringContaining('--endpoint') as unknown,
    });
  },
);
