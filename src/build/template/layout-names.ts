/** The ways to divide a template's disk and to start it: see docs/templates.md. */
export const LAYOUT_NAMES = ['gpt-uefi', 'mbr-swap-last', 'lvm', 'xfs'] as const;
export type LayoutName = (typeof LAYOUT_NAMES)[number];
