//! `hush auditor`: who watches keyservers for us, and what came of asking them.

use std::time::Duration;

use hushwire_client::Command;

use crate::app::App;
use crate::args::Auditor;
use crate::exit::Failure;
use crate::show::Item;

/// For the keyserver's answers and the auditor's.
const ASKED_WITHIN: Duration = Duration::from_secs(20);

pub(super) async fn run(app: &App, args: Auditor) -> Result<(), Failure> {
    let client = app.client().await?;
    match args {
        Auditor::Add { auditor } => {
            let mut events = client.events();
            client.command(Command::AddAuditor(auditor)).await?;
            client.connect().await?;
            let _ = client.settle(app.timeout(ASKED_WITHIN)).await?.done; // what came of it is shown
            while let Ok(Some(Ok(event))) = tokio::time::timeout(Duration::ZERO, events.next()).await {
                super::report::event(app, &event).await?;
            }
        }
        Auditor::Remove { auditor } => {
            client.command(Command::RemoveAuditor(auditor)).await?;
        }
        Auditor::List => {}
    }
    let auditors = client.query(|engine| engine.auditors()).await?;
    for auditor in &auditors {
        app.out().item(&Item::Auditor(auditor))?;
    }
    if auditors.is_empty() {
        app.out().note("No auditor watches your keyserver for you. Add one with: hush auditor add hush://…");
    }
    Ok(())
}
