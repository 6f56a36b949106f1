"""Define the style sheet of `report.html`: light and dark, screen and print. Knows no content."""

from __future__ import annotations

_BASE = """\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d4d9df;--back:#fff;\
--panel:#f5f7f9;--good:#116329;--good-back:#dafbe1;--blocked:#7d4e00;--blocked-back:#fff3cd;\
--bad:#a40e26;--bad-back:#ffe3e6;--link:#0550ae;--bar:#8c959f}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#343b44;\
--back:#0d1117;--panel:#161b22;--good:#6fdd8b;--good-back:#0f2f1a;--blocked:#f0c55a;\
--blocked-back:#33270a;--bad:#ff9aa2;--bad-back:#3c1318;--link:#79b8ff;--bar:#6e7681}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:72rem;padding:1.5rem 1.25rem 4rem;background:var(--back);\
color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,.wide:focus-visible,pre:focus-visible{\
outline:2px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100vw}
.skip:focus{position:static}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Noto Sans Mono",monospace;\
font-size:.875em}
code{overflow-wrap:anywhere}
header{border-left:.4rem solid var(--tone);padding:.25rem 0 .25rem 1rem;margin-bottom:1.25rem}
h1{margin:0;font-size:2rem;line-height:1.2;color:var(--tone)}
h2{margin:2.25rem 0 .75rem;font-size:1.25rem;border-bottom:1px solid var(--line);\
padding-bottom:.25rem}
h3{margin:1.25rem 0 .4rem;font-size:1rem}
h4{margin:1rem 0 .25rem;font-size:.9375rem}
p{margin:.5rem 0}
.soft{color:var(--soft)}
.PASS,.ok{--tone:var(--good);--tone-back:var(--good-back)}
.BLOCKED,.warning{--tone:var(--blocked);--tone-back:var(--blocked-back)}
.FAIL,.error,.not{--tone:var(--bad);--tone-back:var(--bad-back)}
.note{--tone:var(--soft);--tone-back:var(--panel)}
.badge{display:inline-block;padding:0 .5em;border-radius:.35em;background:var(--tone-back);\
color:var(--tone);font-weight:600;font-size:.875em;white-space:nowrap}
.notice{border:1px solid var(--tone);background:var(--tone-back);color:var(--tone);\
border-radius:.4rem;padding:.5rem .75rem;font-weight:600}
nav ul,.chips,.counts{list-style:none;margin:.5rem 0 0;padding:0;display:flex;flex-wrap:wrap;\
gap:.25rem 1rem}
.chips,.counts{gap:.35rem}
.chips li{border:1px solid var(--line);background:var(--panel);border-radius:.35em;padding:0 .5em;\
font-size:.875em}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.4rem 1.25rem}
.facts dt{font-size:.8125rem}
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
.matrix th,.timeline th,.checks th,.rechecks th{white-space:nowrap}
.packs .why{min-width:15rem}
.pack{border:1px solid var(--line);border-left:.25rem solid var(--tone);border-radius:.4rem;\
margin:.5rem 0;padding:0 .9rem}
.pack>details{margin:0}
.pack>details>summary{padding:.5rem 0;color:var(--ink)}
.pack>details[open]{padding-bottom:.75rem}
.pack summary h3{display:inline;margin:0 0 0 .5rem}
.findings{list-style:none;margin:.5rem 0;padding:0}
.findings>li{border-left:.25rem solid var(--tone);padding:.1rem 0 .1rem .75rem;margin:0 0 1rem}
.findings p{margin:.15rem 0;overflow-wrap:anywhere}
.artifacts{margin:.25rem 0;padding-left:1.25rem}
pre{margin:.4rem 0;padding:.75rem;background:var(--panel);border:1px solid var(--line);\
border-radius:.4rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.diff{white-space:pre;overflow-wrap:normal;padding:.5rem 0;line-height:1.45;max-height:40rem;\
overflow-y:auto}
.diff>span{display:block;min-width:max-content;padding-right:.75rem}
.diff .n{color:var(--soft);user-select:none;-webkit-user-select:none}
.diff .added{background:var(--good-back)}
.diff .removed{background:var(--bad-back)}
.diff .file{font-weight:600}
.diff .hunk,.diff .note{color:var(--soft);background:none}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.5rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
.timeline td,.timeline th{padding-top:.2rem;padding-bottom:.2rem}
.timeline .track{width:55%;min-width:8rem}
.bar{display:block;height:.7rem;margin-top:.4rem;border-radius:.2rem;background:var(--bar)}
@media (max-width:40rem){body{padding:1rem .75rem 3rem}dl{grid-template-columns:1fr}\
dd{margin-bottom:.5rem}.facts{grid-template-columns:1fr 1fr;gap:.25rem .75rem}\
.facts dd{margin-bottom:.1rem}h1{font-size:1.6rem}.pack{padding:0 .6rem}\
.packs,.packs tbody,.packs tr,.packs th,.packs td{display:block;border:0;padding:0}\
.packs thead{display:none}.packs tr{border-bottom:1px solid var(--line);padding:.5rem 0}\
.packs td{display:inline-block;margin-right:.75rem}.packs .domain{color:var(--soft)}\
.packs .why{display:block;min-width:0;color:var(--soft)}.checks td:first-of-type{min-width:11rem}}
@media print{body{max-width:none;padding:0;font-size:10pt;background:#fff}nav,.skip{display:none}\
.wide,.diff{overflow:visible;max-height:none}.diff{white-space:pre-wrap}\
.diff>span{min-width:0}details::details-content{display:block;content-visibility:visible}\
h2,h3,summary{break-after:avoid}tr,.findings>li{break-inside:avoid}\
thead{display:table-header-group}.badge,.bar,.diff>span{print-color-adjust:exact;\
-webkit-print-color-adjust:exact}a{color:inherit}}
"""

STEPS = 40
"""Steps of the width of the timeline: class `a3` begins at the third, `b5` is five long."""

STYLE = (
    _BASE
    + "".join(
        [f".a{step}{{margin-left:{step * 100 / STEPS:g}%}}" for step in range(1, STEPS)]
        + [f".b{step}{{width:{step * 100 / STEPS:g}%}}" for step in range(1, STEPS + 1)]
    )
    + "\n"
)
