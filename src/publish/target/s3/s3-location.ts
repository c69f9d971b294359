import { TsbuilderError } from '../../../errors.js';

/** A folder of a bucket. */
export interface S3Location {
  readonly bucket: string;
  /** In front of every name: empty, or ending with a slash. */
  readonly prefix: string;
}

/**
 * The bucket and the folder in `s3://BUCKET[/PREFIX]`.
 *
 * @throws TSB_USAGE when a bucket cannot have that name, the prefix is no plain path, or it seems to hold a key
 */
export function parseS3Location(text: string): S3Location {
  const [bucket = '', ...words] = text.replace(/^s3:\/\//i, '').split('/');
  if (bucket.includes('@')) {
    throw new TsbuilderError('TSB_USAGE', 's3://...@...: keys do not belong into the name of a target', {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile: AWS_PROFILE.',
    });
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket))
    throw new TsbuilderError('TSB_USAGE', `${text}: a bucket cannot be called ${JSON.stringify(bucket)}`, {
      hint: 'For example: s3://my-bucket/templates',
    });
  if (words.at(-1) === '') words.pop();
  const wrong = words.find((word) => !/^[A-Za-z0-9!_.*'()@:=+,~-]+$/.test(word) || /^\.\.?$/.test(word));
  if (wrong === undefined) return { bucket, prefix: words.map((word) => `${word}/`).join('') };
  throw new TsbuilderError('TSB_USAGE', `${text}: ${JSON.stringify(wrong)} cannot be part of a prefix`, {
    hint: 'Use letters, digits and -_.:=+, between single slashes.',
  });
}
