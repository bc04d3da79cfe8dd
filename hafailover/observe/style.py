"""The status page's looks. Inline, and named by its hash in the content security policy: nothing else can add any.

Colours follow the reader's system, light or dark; none is ever the only sign of anything. Below `40rem` each row
of a table is a list.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

CSS = """\
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#16191d;--dim:#5a6370;--line:#d9dee5;--link:#0b57d0;
--good:#0f7b3e;--good-ink:#fff;--calm:#2f5d8a;--bad:#b3261e;--bad-ink:#fff;--warn:#8a5a00;
--bad-soft:#fdecea;--warn-soft:#fff5dd;--note-soft:#eaf1fb}
@media (prefers-color-scheme:dark){:root{--page:#111417;--card:#1b1f24;--ink:#e7eaee;--dim:#a0a9b4;--line:#333a43;
--link:#8ab4f8;--good:#5bd08a;--good-ink:#08210f;--calm:#8fbdec;--bad:#ff8a80;--bad-ink:#2c0603;--warn:#f0c05a;
--bad-soft:#3a1d1b;--warn-soft:#352b14;--note-soft:#1b2a3d}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--page);color:var(--ink);
font:15px/1.45 system-ui,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
a{color:var(--link)}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:0}h3,caption{font-size:.85rem;color:var(--dim);margin:0;
font-weight:600;text-align:left;padding:.2rem 0}
header,footer{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline}
header{margin-bottom:.8rem}footer{color:var(--dim);font-size:.85rem}
p{margin:.3rem 0}ul,ol{list-style:none;margin:0;padding:0}
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem;margin:0 0 .9rem;
overflow-x:auto}
.title{display:flex;flex-wrap:wrap;gap:.3rem .7rem;align-items:center}
.dim,.when{color:var(--dim)}.when{margin-left:.7rem;font-size:.85rem;white-space:nowrap}
.state{display:inline-block;border:2px solid currentColor;border-radius:.35rem;padding:0 .45rem;font-size:.85rem;
font-weight:700;white-space:nowrap}
.MASTER{background:var(--good);border-color:var(--good);color:var(--good-ink)}
.BACKUP{color:var(--calm)}.INIT,.CLAIMING,.RELEASING{color:var(--warn);border-style:dashed}
.FAULT{background:var(--bad);border-color:var(--bad);color:var(--bad-ink)}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:700}.warn{color:var(--warn);font-weight:600}
.notes li{border-left:.35rem solid;border-radius:.35rem;padding:.35rem .7rem;margin:0 0 .4rem}
.notes b{text-transform:uppercase;font-size:.75rem;margin-right:.6rem}
.n-fault{background:var(--bad-soft);border-color:var(--bad)!important}.n-fault b{color:var(--bad)}
.n-warning{background:var(--warn-soft);border-color:var(--warn)!important}.n-warning b{color:var(--warn)}
.n-note{background:var(--note-soft);border-color:var(--calm)!important}.n-note b{color:var(--calm)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.5rem 1rem;margin:.6rem 0}
dt{font-size:.75rem;color:var(--dim)}dd{margin:0}
table{border-collapse:collapse;width:100%;margin:.5rem 0 0}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;vertical-align:top;border-top:1px solid var(--line);
overflow-wrap:break-word}td:last-child{overflow-wrap:anywhere;padding-right:0}
th{font-size:.75rem;color:var(--dim);font-weight:600;border-top:0}
.hears{width:auto}.hears td,.hears th{padding-right:1.5rem;border:0}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;margin:.4rem 0 .7rem}
.key{display:inline-block;min-width:1.3em;text-align:center;border-radius:.2rem;color:#111;font-size:.75rem}
.failovers li{border-top:1px solid var(--line);padding:.5rem 0}
.why{color:var(--dim)}.figures{font-size:.8rem;display:flex;flex-wrap:wrap;gap:.2rem .9rem}
.bar{display:block;width:100%;height:40px}
.bar text{font-size:12px;fill:#111}.bar .tick{fill:var(--dim);font-size:11px;text-anchor:middle}
.bar .last{text-anchor:end}.bar line{stroke:var(--line)}.bar rect{stroke:var(--card);stroke-width:1}
.p-detect{background:#6db3f2;fill:#6db3f2}.p-guard{background:#f2c14e;fill:#f2c14e}
.p-fence{background:#f0874a;fill:#f0874a}.p-guest{background:#63c78f;fill:#63c78f}
.p-cloud{background:#b9a6ea;fill:#b9a6ea}.p-verify{background:#e79ac2;fill:#e79ac2}
.p-claim{background:#e0a58f;fill:#e0a58f}.p-handover{background:#9fc9c4;fill:#9fc9c4}
.p-other{background:#b8bec6;fill:#b8bec6}
@media (max-width:40rem){body{padding:.6rem}section{padding:.7rem}
table:not(.hears) thead{display:none}
table:not(.hears) tr{display:block;border-top:1px solid var(--line);padding:.3rem 0}
table:not(.hears) td{display:flex;gap:.6rem;border:0;padding:.1rem 0}
table:not(.hears) td::before{content:attr(data-head);flex:0 0 6.5rem;color:var(--dim);font-size:.8rem}
.hears{font-size:.85rem}.hears td,.hears th{padding-right:.9rem}
dl{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}.when{display:block;margin:0}}
@media print{section{break-inside:avoid}}
"""
SOURCE = f"'sha256-{b64encode(sha256(CSS.encode()).digest()).decode()}'"
