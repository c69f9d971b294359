/** Colours by class, for light and dark backgrounds; without support for either (rasterisers) the light ones hold. */
const LIGHT: Readonly<Record<string, string>> = {
  paper: '#ffffff',
  ink: '#1b1f24',
  soft: '#57606a',
  used: '#2f6fb0',
  unknown: '#6b5b95',
  junk: '#d97706',
  free: '#dfe9dc',
  zero: '#eceff2',
  table: '#1b1f24',
  r0: '#bcd7ee',
  r1: '#93bfe2',
  r2: '#67a3d3',
  r3: '#4086c0',
  r4: '#2367a2',
  r5: '#10436f',
};

const DARK: Readonly<Record<string, string>> = {
  paper: '#12161b',
  ink: '#e8edf2',
  soft: '#a3aeb9',
  used: '#4f93d6',
  unknown: '#a592d6',
  junk: '#f0a03c',
  free: '#26382b',
  zero: '#232a32',
  table: '#e8edf2',
  r0: '#274f75',
  r1: '#2d6192',
  r2: '#3775ae',
  r3: '#4f8fcb',
  r4: '#79aee0',
  r5: '#b9d8f5',
};

const rules = (colours: Readonly<Record<string, string>>): string =>
  Object.entries(colours)
    .map(([name, colour]) => `.tsb-${name}{fill:${colour}}`)
    .join('');

/** The style sheet of every picture, the same for all, so that many can be in one page. */
export const PICTURE_STYLE =
  rules(LIGHT) +
  `.tsb-map text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}` +
  `.tsb-over{pointer-events:none}.tsb-grid{stroke:${LIGHT['paper'] ?? ''};stroke-width:1.5;fill:none}` +
  `.tsb-hatch{stroke:${LIGHT['paper'] ?? ''};stroke-width:2}` +
  `@media (prefers-color-scheme:dark){${rules(DARK)}.tsb-grid,.tsb-hatch{stroke:${DARK['paper'] ?? ''}}}`;

/** Background and text colours of a page around pictures. */
export const PAGE_COLOURS = {
  light: { paper: LIGHT['paper'] ?? '', ink: LIGHT['ink'] ?? '', soft: LIGHT['soft'] ?? '' },
  dark: { paper: DARK['paper'] ?? '', ink: DARK['ink'] ?? '', soft: DARK['soft'] ?? '' },
} as const;
