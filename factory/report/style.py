"""Define the style sheet of `report.html`: light and dark, screen and print. Knows no content."""

from __future__ import annotations

STYLE = """\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d4d9df;--back:#fff;\
--panel:#f5f7f9;\
--good:#116329;--good-back:#dafbe1;--blocked:#7d4e00;--blocked-back:#fff3cd;--bad:#a40e26;\
--bad-back:#ffe3e6;--link:#0550ae}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#343b44;\
--back:#0d1117;--panel:#161b22;\
--good:#6fdd8b;--good-back:#0f2f1a;--blocked:#f0c55a;--blocked-back:#33270a;--bad:#ff9aa2;\
--bad-back:#3c1318;--link:#79b8ff}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:68rem;padding:1.5rem 1.25rem 4rem;background:var(--back);\
color:var(--ink);\
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:2px solid var(--link);\
outline-offset:2px}
.skip{position:absolute;left:-100vw}
.skip:focus{position:static}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Noto Sans Mono",monospace;\
font-size:.875em}
code{overflow-wrap:anywhere}
header{border-left:.4rem solid var(--tone);padding:.25rem 0 .25rem 1rem;margin-bottom:1.25rem}
h1{margin:0;font-size:2rem;line-height:1.2;color:var(--tone)}
h1+p{margin:.35rem 0 0;font-size:1.05rem}
h2{margin:2.25rem 0 .6rem;font-size:1.25rem;border-bottom:1px solid var(--line);\
padding-bottom:.25rem}
h3{margin:1.25rem 0 .4rem;font-size:1rem}
p{margin:.5rem 0}
.soft{color:var(--soft)}
.PASS,.ok{--tone:var(--good);--tone-back:var(--good-back)}
.BLOCKED,.warning{--tone:var(--blocked);--tone-back:var(--blocked-back)}
.FAIL,.error,.not{--tone:var(--bad);--tone-back:var(--bad-back)}
.note{--tone:var(--soft);--tone-back:var(--panel)}
.badge{display:inline-block;padding:0 .5em;border-radius:.35em;background:var(--tone-back);\
color:var(--tone);\
font-weight:600;font-size:.875em;white-space:nowrap}
.notice{border:1px solid var(--tone);background:var(--tone-back);color:var(--tone);\
border-radius:.4rem;\
padding:.5rem .75rem;font-weight:600}
nav ul,.chips{list-style:none;margin:.75rem 0 0;padding:0;display:flex;flex-wrap:wrap;\
gap:.25rem 1rem}
.chips{gap:.35rem}
.chips li{border:1px solid var(--line);background:var(--panel);border-radius:.35em;padding:0 .5em;\
font-size:.875em}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);\
white-space:nowrap}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;\
border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600}
.short{white-space:nowrap}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.matrix th,.matrix td{padding-right:1.25rem}
.packs td:last-child{min-width:15rem}
.findings{list-style:none;margin:0;padding:0}
.findings>li{border-left:.25rem solid var(--tone);padding:.1rem 0 .1rem .75rem;margin:0 0 1rem}
.findings p{margin:.15rem 0;overflow-wrap:anywhere}
pre{margin:.4rem 0;padding:.75rem;background:var(--panel);border:1px solid var(--line);\
border-radius:.4rem;\
overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media (max-width:40rem){dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}h1{font-size:1.6rem}}
@media print{body{max-width:none;padding:0;font-size:10pt;background:#fff}nav,.skip{display:none}\
.wide{overflow:visible}h2,h3{break-after:avoid}tr,.findings>li,pre{break-inside:avoid}\
thead{display:table-header-group}\
a{color:inherit}}
"""
