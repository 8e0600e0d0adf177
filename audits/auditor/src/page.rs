//! The page for people: each keyserver, what was checked of it, and whether it held. No script, no picture, nothing from
//! elsewhere; headings, captions and words carry what colours repeat.

use std::fmt::Write as _;

use hushwire_log::{Followed, ROOTS_PER_REPORT_MAX, Report, Standing};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use jiff::Timestamp;

/// Follows the light or dark of the reader's system. Contrast is at least 7 to 1 in both.
pub(crate) const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fdfdfc; --dim: #4a4a52; --line: #c9c9cf;
  --well: #0b5a2a; --wait: #6b4300; --bad: #8e0f16; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf0; --paper: #16161a; --dim: #b9b9c2; --line: #3c3c44;
  --well: #7fdc9f; --wait: #f0c069; --bad: #ff9c9c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
.dim, caption, footer { color: var(--dim); }
.verdict { font-weight: 600; max-width: none; border-left: .3rem solid; padding: .3rem .8rem; }
.well { color: var(--well); } .wait { color: var(--wait); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
td time { white-space: nowrap; }
code { font: .85rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
a { color: inherit; text-underline-offset: .15em; }
a:focus-visible { outline: .15rem solid; outline-offset: .15rem; }
";

/// The whole page.
pub(crate) fn page(address: &ServerAddress, report: &Report) -> String {
    let mut body = String::new();
    for followed in &report.followed {
        section(&mut body, followed);
    }
    if report.followed.is_empty() {
        body.push_str("<p>This auditor does not follow that keyserver.</p>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<header>\n\
         <h1>Hushwire auditor</h1>\n\
         <p>A keyserver says who has which keys, and proves it by a log. This auditor asks for every epoch of that log, \
         checks that nothing was ever taken out or changed, and signs each root that holds. To have your client compare \
         what it is shown with what stands here:</p>\n\
         <p><code>hush auditor add {address}</code></p>\n</header>\n<main>\n{body}</main>\n\
         <footer><p>The same for programs: <a href=\"/roots.json\">roots.json</a></p></footer>\n\
         </body>\n</html>\n",
        title = escaped(&title(report)),
        address = escaped(&address.to_string()),
    )
}

/// What a tab shows: whether anything is wrong.
fn title(report: &Report) -> String {
    let stopped = report.followed.iter().filter(|one| matches!(one.standing, Standing::Stopped(_))).count();
    match stopped {
        0 => "Hushwire auditor: nothing found".to_owned(),
        _ => format!("Hushwire auditor: {stopped} NOT TO BE TRUSTED"),
    }
}

fn section(out: &mut String, followed: &Followed) {
    let (class, verdict) = match &followed.standing {
        Standing::Follows if followed.epoch == 0 => ("wait", "Nothing was checked yet.".to_owned()),
        Standing::Follows => ("well", format!("Everything holds, from epoch 1 to epoch {}.", followed.epoch)),
        Standing::Waits(why) => {
            ("wait", format!("What was checked holds, to epoch {}; it cannot go on now: {why}.", followed.epoch))
        }
        Standing::Stopped(why) => ("bad", format!("Do not trust this keyserver: {why}.")),
    };
    let _ = write!(
        out,
        "<section>\n<h2>{}</h2>\n<p class=\"verdict {class}\">{}</p>\n",
        escaped(&followed.address),
        escaped(&verdict)
    );
    if !followed.evidence.is_empty() {
        let verdicts = ["held", "does not follow"].into_iter().skip(2usize.saturating_sub(followed.evidence.len()));
        let rows = followed.evidence.iter().zip(verdicts).map(|(root, verdict)| (root, None, verdict));
        table(out, "What the verdict rests on", rows);
    }
    if !followed.roots.is_empty() {
        let rows = followed.roots.iter().map(|seen| (&seen.root, Some(seen.checked_at), "holds"));
        table(out, "Roots that were checked, newest first: each follows from the one before", rows);
    }
    if let Some(older) = followed.roots.last().and_then(|oldest| oldest.root.epoch.checked_sub(1)).filter(|e| *e > 0) {
        let keyserver = followed.keyserver;
        let _ = writeln!(
            out,
            "<p><a href=\"/?keyserver={keyserver}&amp;through={older}\">The {} epochs before</a></p>",
            older.min(ROOTS_PER_REPORT_MAX as u64)
        );
    }
    out.push_str("</section>\n");
}

fn table<'a>(
    out: &mut String,
    caption: &str,
    rows: impl Iterator<Item = (&'a SignedRoot, Option<UnixMillis>, &'static str)>,
) {
    let _ = write!(
        out,
        "<div class=\"scroll\">\n<table>\n<caption>{caption}</caption>\n<thead><tr><th scope=\"col\">Epoch</th>\
         <th scope=\"col\">Root</th><th scope=\"col\">Signed (UTC)</th><th scope=\"col\">Checked (UTC)</th>\
         <th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n"
    );
    for (root, checked_at, verdict) in rows {
        let (at, checked_at) = (time(root.at), checked_at.map_or_else(String::new, time));
        let hex = data_encoding::HEXLOWER.encode(&root.root);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><code>{hex}</code></td><td>{at}</td><td>{checked_at}</td><td>{verdict}</td></tr>",
            root.epoch
        );
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

/// A keyserver's clock may say anything.
fn time(at: UnixMillis) -> String {
    let known = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let Some(known) = known else { return "at no known time".to_owned() };
    let machine = format!("{known:.0}");
    let human = machine.replace('T', " ").replace('Z', "");
    format!("<time datetime=\"{machine}\">{human}</time>")
}

/// Text of others, and addresses, as text of a page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use hushwire_proto::address::Fingerprint;

    use super::*;

    #[test]
    fn what_a_keyserver_says_is_text_on_the_page_and_nothing_else() {
        let followed = Followed {
            address: "hush://keys.example.org".to_owned(),
            keyserver: Fingerprint([1; 32]),
            standing: Standing::Stopped("<script>alert(\"1\")</script> & 'more'\u{1b}".to_owned()),
            epoch: 3,
            roots: Vec::new(),
            evidence: Vec::new(),
        };
        let address = ServerAddress::parse("hush://audit.example.org", 1);
        let report = Report { auditor: [2; 32], followed: vec![followed] };
        let page = address.map(|address| page(&address, &report)).unwrap_or_default();
        assert!(
            page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;\u{FFFD}"),
            "{page}"
        );
        assert!(!page.contains("<script") && page.contains("1 NOT TO BE TRUSTED"));
    }
}
