/**
 * Reads `KEY=value` lines as os-release(5), lsb-release and /etc/selinux/config have them. The text is data: nothing in
 * it is ever run. Single quotes keep everything, double quotes and bare words know the backslash; a line that is not
 * understood is skipped.
 */
export function parseAssignments(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line.replace(/\r$/, ''));
    if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], unquote(match[2]));
  }
  return values;
}

function unquote(value: string): string {
  const text = value.trimEnd();
  const quote = text.charAt(0);
  if (quote !== '"' && quote !== "'") return text.replace(/\s+#.*$/, '').replace(/\\(.)/g, '$1');
  const end = closingQuote(text, quote);
  const inside = text.slice(1, end);
  return quote === "'" ? inside : inside.replace(/\\(["$`\\])/g, '$1');
}

function closingQuote(text: string, quote: string): number {
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\' && quote === '"') at += 1;
    else if (text[at] === quote) return at;
  }
  return text.length;
}
