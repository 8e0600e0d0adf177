//! `hush timer`, `mute`, `archive`, `draft`, `receipts`: a conversation as a whole.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hushwire_client::ids::UnixMillis;
use hushwire_client::{Command, Conversation, ConversationId};

use crate::app::App;
use crate::args::{Archive, Draft, Lasts, Mute, Receipts, Timer};
use crate::exit::{Exit, Failure};
use crate::show::{Item, Where};

/// What a person spends watching a cursor. What was done is kept either way.
const GLANCE: Duration = Duration::from_secs(5);

/// No time that anybody lives to see; the largest that a database holds.
const FOREVER: UnixMillis = UnixMillis(i64::MAX as u64);

pub(super) async fn timer(app: &App, args: &Timer) -> Result<(), Failure> {
    let conversation = app.talk(&args.with).await?.id;
    let seconds = match args.after {
        Lasts::Off | Lasts::Forever => None,
        Lasts::For(time) if time.subsec_nanos() == 0 => Some(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        Lasts::For(_) => return Err(Failure::usage("messages disappear after whole seconds", "write 30s, 1h or 7d")),
    };
    app.client().await?.command(Command::SetTimer { conversation, seconds }).await?;
    show(app, conversation).await?;
    app.tell_others(GLANCE).await
}

pub(super) async fn mute(app: &App, args: &Mute) -> Result<(), Failure> {
    let conversation = app.talk(&args.with).await?.id;
    let until = match args.lasts {
        Lasts::Off => None,
        Lasts::Forever => Some(FOREVER),
        Lasts::For(time) => Some(after(time)),
    };
    app.client().await?.command(Command::Mute { conversation, until }).await?;
    show(app, conversation).await
}

pub(super) async fn archive(app: &App, args: &Archive) -> Result<(), Failure> {
    let conversation = app.talk(&args.with).await?.id;
    app.client().await?.command(Command::Archive { conversation, archived: !args.undo }).await?;
    show(app, conversation).await
}

pub(super) async fn draft(app: &App, args: Draft) -> Result<(), Failure> {
    let conversation = app.talk(&args.with).await?.id;
    if let Some(text) = args.text {
        app.client().await?.command(Command::SetDraft { conversation, draft: Some(text) }).await?;
        return show(app, conversation).await;
    }
    let kept = as_now(app, conversation).await?;
    app.out().item(&Item::Draft { conversation: &Where::from(&kept), draft: kept.draft.as_deref() })?;
    if kept.draft.is_none() {
        app.out().note("There is no draft.");
    }
    Ok(())
}

pub(super) async fn receipts(app: &App, args: &Receipts) -> Result<(), Failure> {
    let conversation = app.talk(&args.with).await?.id;
    app.client().await?.command(Command::SetReceipts { conversation, told: args.on }).await?;
    show(app, conversation).await
}

async fn show(app: &App, id: ConversationId) -> Result<(), Failure> {
    let (conversation, last) = (as_now(app, id).await?, app.last_of(id).await?);
    app.out().item(&Item::Conversation { conversation: &conversation, last: last.as_ref() })
}

async fn as_now(app: &App, id: ConversationId) -> Result<Conversation, Failure> {
    let found = app.client().await?.query(move |engine| engine.conversation(id)).await?;
    found.ok_or_else(|| Failure::new(Exit::Unexpected, "the conversation is gone"))
}

/// So long from now.
pub(super) fn after(time: Duration) -> UnixMillis {
    let then = SystemTime::now().checked_add(time).and_then(|then| then.duration_since(UNIX_EPOCH).ok());
    then.and_then(|then| u64::try_from(then.as_millis()).ok()).map_or(FOREVER, UnixMillis)
}
