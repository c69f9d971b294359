import { printable } from '../../io/printable.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const LONGEST = 80;

/**
 * `text`, which may come from a disk, fit for XML and HTML, between tags and in quoted attributes: at most `longest` characters, what
 * controls or reorders text as a visible escape, no character that XML 1.0 forbids (section 2.2).
 */
export function escapeText(text: string, longest = LONGEST): string {
  const characters = Array.from(text);
  const short = characters.length > longest ? `${characters.slice(0, longest - 1).join('')}\u2026` : text;
  return printable(short)
    .replace(/[\p{Cs}\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
