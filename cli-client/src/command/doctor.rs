//! `hush doctor`: everything that a working client needs, looked at piece by piece.

use hushwire_client::{Finding, Verdict};

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::show::Item;

pub(super) async fn run(app: &App) -> Result<(), Failure> {
    let client = app.client().await?;
    app.out().note("Looking at the database and at both servers …");
    let findings = client.diagnose().await;
    for finding in &findings {
        app.out().item(&Item::Finding(finding))?;
    }
    match findings.iter().find(|finding| finding.verdict == Verdict::Fail) {
        Some(failed) => {
            Err(Failure::new(exit_of(failed), format!("what is marked FAIL does not work: {}", failed.name)))
        }
        None => Ok(()),
    }
}

/// What is wrong here is a defect; what is wrong there is the network.
fn exit_of(failed: &Finding) -> Exit {
    match failed.name {
        "relay" | "keyserver" | "outbox" | "prekeys" => Exit::Network,
        "account" | "clock" => Exit::Usage,
        _ => Exit::Unexpected,
    }
}
