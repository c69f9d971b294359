import { PAGE_COLOURS } from '../picture/picture-style.js';

const { light, dark } = PAGE_COLOURS;

/** The style sheet of the page. Commands are selected as a whole by one click: the page has no scripts. */
export const CATALOGUE_STYLE = `:root{color-scheme:light dark;--paper:${light.paper};--ink:${light.ink};--soft:${light.soft};--line:#d5dade;--code:#f3f5f7;--link:#1f5fa0}
@media (prefers-color-scheme:dark){:root{--paper:${dark.paper};--ink:${dark.ink};--soft:${dark.soft};--line:#343c45;--code:#1d232a;--link:#7db6ee}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;background:var(--paper);color:var(--ink);overflow-wrap:anywhere}
a{color:var(--link)}
h1{margin:.5rem 0 0;line-height:1.2}
h2{margin:0;font-size:1.25rem}
h2 small{font-weight:400;color:var(--soft)}
h3{font-size:1rem;margin:1rem 0 .25rem}
.soft{color:var(--soft);margin:.25rem 0}
section,article{border-top:1px solid var(--line);padding:1.25rem 0;margin-top:1.25rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.5rem 1rem;margin:.75rem 0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0}
pre{margin:.25rem 0;padding:.6rem .75rem;background:var(--code);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;font:13px/1.5 ui-monospace,'DejaVu Sans Mono',monospace}
pre.command{user-select:all;-webkit-user-select:all;cursor:copy}
code{font:13px/1.5 ui-monospace,'DejaVu Sans Mono',monospace}
summary{cursor:pointer;padding:.35rem 0;color:var(--link)}
.scroll{overflow-x:auto}
.scroll svg{max-width:100%;min-width:36rem;height:auto;display:block}
ul.index{display:flex;flex-wrap:wrap;gap:.35rem 1rem;list-style:none;padding:0;margin:1rem 0 0}
`;
