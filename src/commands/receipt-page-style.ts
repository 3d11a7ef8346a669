/** The look of an exported page: the system's own fonts, light or dark as the reader has it, nothing loaded. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --paper: #fff; --panel: #f6f7f9; --line: #dfe2e7;
  --good: #18794e; --bad: #c62a2f; --wait: #8f5300; --code: #f0f1f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --dim: #a0a5af; --paper: #111214; --panel: #18191c;
  --line: #2e3138; --good: #3dd68c; --bad: #ff9592; --wait: #ffb757; --code: #212327; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, footer { color: var(--dim); }
h1 { margin: 0 0 .25rem; font-size: 1.1rem; color: var(--ink); }
article { margin: 1.5rem 0; padding: 1.25rem 1.5rem; border: 1px solid var(--line); border-radius: 10px;
  background: var(--panel); }
h2 { margin: 0 0 .25rem; font-size: 1.35rem; line-height: 1.3; }
h3 { margin: 1.5rem 0 .5rem; font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--dim); }
p { margin: .25rem 0; }
.badge { display: inline-block; padding: .05rem .6rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: .8rem; font-weight: 600; vertical-align: middle; }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); } .dim { color: var(--dim); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0 0; }
dt { color: var(--dim); } dd { margin: 0; }
code, pre, .mono { font: 13px/1.5 ui-monospace, monospace; }
code { padding: .05rem .3rem; border-radius: 4px; background: var(--code); white-space: pre-wrap; }
pre { margin: .5rem 0 0; padding: .75rem 1rem; max-height: 30rem; overflow: auto; border-radius: 6px;
  background: var(--code); white-space: pre-wrap; tab-size: 4; }
ol { margin: 0; padding: 0 0 0 .35rem; list-style: none; }
ol li { position: relative; padding: 0 0 .75rem 1.5rem; border-left: 2px solid var(--line); }
ol li:last-child { border-color: transparent; }
ol li::before { content: ""; position: absolute; left: -7px; top: .4rem; width: 12px; height: 12px; border-radius: 50%;
  background: currentColor; border: 2px solid var(--panel); }
ol li > * { color: var(--ink); } ol li > .dim { color: var(--dim); }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { text-align: left; font-weight: 500; color: var(--dim); }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
summary { cursor: pointer; margin-top: .75rem; color: var(--dim); }
.notice { margin-top: 1rem; padding: .6rem .9rem; border-left: 3px solid var(--bad); background: var(--code); }
`;
