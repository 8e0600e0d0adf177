//! The page, as a browser reads it. Needs Chromium; `cargo xtask page` finds or installs it, and runs this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Evil, auditor, epochs, stopped, until};

/// What a browser makes of the page: the document after its scripts ran, if it had any, and a picture.
fn look(browser: &str, url: &str, dir: &Path, name: &str, dark: bool) -> String {
    let picture: PathBuf = dir.join(name).with_extension("png");
    let chrome = |what: &[&str]| {
        let mut command = Command::new(browser);
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1100,1100",
            &profile,
        ]);
        if dark {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        let output = command.args(what).arg(url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!complaints.contains("Content Security Policy"), "{complaints}");
        String::from_utf8(output.stdout).unwrap()
    };
    let document = chrome(&["--enable-logging=stderr", "--dump-dom"]);
    chrome(&[&format!("--screenshot={}", picture.display())]);
    let bytes = std::fs::read(&picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000, "a picture with something on it");
    document
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: cargo xtask page"]
async fn a_browser_shows_epochs_roots_times_and_the_verdict() {
    let browser = std::env::var("HUSHWIRE_BROWSER")
        .expect("HUSHWIRE_BROWSER: the program of a browser; cargo xtask page sets it");
    let temporary = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("HUSHWIRE_PICTURES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let evil = Evil::start();
    let names: Vec<String> = (0..30).map(|number| format!("person-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let log = epochs(&evil, &names);
    evil.shows(&log, 1);
    let auditor = auditor(temporary.path(), &evil.address).await;
    until(&auditor, "31 epochs", |report| report.followed[0].epoch == 31).await;
    let url = format!("http://{}/", auditor.local_addr());
    let shown = |name: &'static str, dark: bool, query: &str| {
        let (browser, url, dir) = (browser.clone(), format!("{url}{query}"), dir.clone());
        tokio::task::spawn_blocking(move || look(&browser, &url, &dir, name, dark))
    };
    let page = shown("holds", false, "").await.unwrap();
    assert!(page.contains("<title>Hushwire auditor: nothing found</title>"));
    assert!(page.contains("Everything holds, from epoch 1 to epoch 31."));
    assert_eq!(page.matches("<tr><th scope=\"row\">").count(), 20, "a page of roots");
    for (root, _) in &log[11..] {
        assert!(page.contains(&format!("<code>{}</code>", hex(&root.root))), "epoch {}", root.epoch);
    }
    assert!(page.contains("The 11 epochs before") && page.contains(&auditor.address().to_string()));
    assert!(!page.contains("<script") && !page.contains("style=\""));
    shown("holds-dark", true, "").await.unwrap();
    let keyserver = evil.address.fingerprint().unwrap();
    let older = shown("older", false, &format!("?keyserver={keyserver}&through=11")).await.unwrap();
    assert_eq!(older.matches("<tr><th scope=\"row\">").count(), 11);

    evil.script.lock().unwrap().newest = Some(log[3].0.clone());
    stopped(&auditor).await;
    let page = shown("stopped", false, "").await.unwrap();
    assert!(page.contains("<title>Hushwire auditor: 1 NOT TO BE TRUSTED</title>"));
    assert!(
        page.contains("Do not trust this keyserver: the keyserver's log was at epoch 31 and is now said to be at 4")
    );
    assert!(page.contains("What the verdict rests on"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
