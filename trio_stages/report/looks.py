"""How a report looks: its style sheet, light and dark by what the reader's system prefers.

Wide enough for a desktop the contents stand beside the text and stay in sight; on a phone they
come first.
"""

from __future__ import annotations

STYLE = """
:root {
  --paper: #fdfdfc; --ink: #1b1f24; --soft: #5b6570; --line: #dfe3e6; --tint: #f3f5f6;
  --link: #1f5fae; --holds: #14733f; --fails: #b3261e; --unseen: #7a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e4e7ea; --soft: #9aa4ae; --line: #2d333a; --tint: #1c2025;
    --link: #7db4f5; --holds: #58c98a; --fails: #ff8a80; --unseen: #e3b341;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 76rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .75rem; }
h2 a { color: inherit; text-decoration: none; }
h2 a:hover { text-decoration: underline; }
p { margin: 0 0 .9rem; max-width: 44rem; }
a { color: var(--link); text-underline-offset: .15em; }
code, pre {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .875em;
}
code { background: var(--tint); padding: .1em .3em; border-radius: .25em; }
pre {
  overflow-x: auto; margin: 0 0 1.1rem; padding: .75rem 1rem; background: var(--tint);
  border-radius: .4rem; line-height: 1.45;
}
pre code { background: none; padding: 0; font-size: 1em; }
header { padding-bottom: 1.25rem; border-bottom: 1px solid var(--line); }
.intro { font-size: 1.075rem; }
.stamp { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; margin: 0; font-size: .8125rem; }
.stamp div { display: flex; gap: .4em; }
.stamp dt { color: var(--soft); }
.stamp dd { margin: 0; font-variant-numeric: tabular-nums; }
.tally { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.holds { --tone: var(--holds); } .fails { --tone: var(--fails); }
.unseen { --tone: var(--unseen); }
.tally span { color: var(--tone); }
nav { font-size: .9rem; padding: 1rem 0; border-bottom: 1px solid var(--line); }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li { padding: .15rem 0; line-height: 1.35; }
nav .part { color: var(--soft); font-size: .8125rem; padding-top: .9rem; }
nav .part:first-child { padding-top: 0; }
main > .part {
  margin: 2.75rem 0 -1rem; color: var(--soft); font-size: .875rem; font-weight: 600;
  padding-bottom: .3rem; border-bottom: 1px solid var(--line); max-width: none;
}
main > .part:first-child { margin-top: 1.75rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
nav .fails { color: var(--tone); font-size: .85em; white-space: nowrap; }
section { padding-top: 2rem; }
figure { margin: 1.25rem 0; max-width: 42rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption, .caption {
  color: var(--soft); font-size: .875rem; line-height: 1.45; text-align: left;
}
figcaption { margin-top: .4rem; max-width: 44rem; }
.caption { padding: .5rem 0 .4rem; margin: 0; }
.caption + .wide { margin-top: 0; }
summary { cursor: pointer; }
.wide { overflow-x: auto; margin: 1rem 0 1.25rem; max-width: max-content; }
.wide:focus-visible, pre:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.4; }
th, td { padding: .35rem .7rem; vertical-align: top; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: .1rem; }
td.l:last-child { min-width: 12rem; }
td.l:first-child { min-width: 9rem; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody tr:hover { background: var(--tint); }
.l { text-align: left; min-width: 6rem; max-width: 26rem; overflow-wrap: normal; }
.r { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.r { white-space: normal; }
.verdict {
  display: flex; gap: .35rem 1rem; margin: 0 0 .9rem; padding: .1rem 0 .1rem .9rem;
  border-left: 3px solid var(--tone); max-width: 50rem;
}
.verdict p { margin: 0; }
.verdict .measured { color: var(--soft); font-size: .9rem; font-variant-numeric: tabular-nums; }
.badge {
  flex: 0 0 9.6rem; align-self: flex-start; color: var(--tone); font-size: .875rem;
  font-weight: 600; line-height: 1.77;
}
@media (max-width: 40rem) {
  .verdict { flex-direction: column; gap: 0; }
  .badge { flex: none; }
  h1 { font-size: 1.45rem; }
  figure > div { margin: 0 -.75rem; }
}
@media (min-width: 64rem) {
  body {
    display: grid; grid-template-columns: 14rem minmax(0, 1fr); column-gap: 3rem;
    padding: 2.5rem 2rem 5rem;
  }
  header { grid-column: 1 / -1; }
  nav {
    position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto;
    padding: 2.1rem 0; border: 0;
  }
}
@media print { nav { display: none; } section { break-inside: avoid-page; } }
"""
