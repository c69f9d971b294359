const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `bytes` for people: at most one decimal, in powers of 1024 (`123.4 MiB`, `10 GiB`, `512 B`). */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const rounded =
    value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
  if (Math.abs(Number(rounded)) === 1024 && unit < UNITS.length - 1)
    return `${Math.sign(value)} ${UNITS[unit + 1] ?? 'B'}`;
  return `${rounded} ${UNITS[unit] ?? 'B'}`;
}
