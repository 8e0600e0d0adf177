//! Who is in a group, and as what.

use hushwire_client::Standing;
use hushwire_client::group::{Op, Role};
use hushwire_client::ids::AccountId;

use super::change_at;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::text;

const MEMBER: &str = "a member of the group";

pub(super) async fn add(app: &App, name: &str, who: &[String]) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let mut contacts = Vec::with_capacity(who.len());
    for asked in who {
        let contact = app.contact(asked).await?;
        if contact.standing == Standing::Blocked {
            return Err(hushwire_client::CommandError::Blocked.into());
        }
        if group.state.members.contains_key(&contact.account) {
            return Err(Failure::usage(
                format!("{} is in the group already", text::clean_line(&contact.name)),
                "leave them out; nothing was changed",
            ));
        }
        contacts.push(contact.id);
    }
    contacts.sort_unstable();
    contacts.dedup();
    let wanted = contacts.len();
    let members = app.client().await?.query(move |engine| engine.new_members(&contacts)).await?;
    if members.len() != wanted {
        return Err(Failure::new(Exit::Unexpected, "a contact is gone"));
    }
    change_at(app, &place, Op::Add(members)).await
}

pub(super) async fn remove(app: &App, name: &str, who: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let account = app.one_of(&group, &keys(group.state.members.keys()), who, MEMBER).await?;
    if account == app.profile().await?.account {
        return Err(Failure::usage("nobody removes themselves", "hush group leave"));
    }
    change_at(app, &place, Op::Remove(account)).await
}

pub(super) async fn ban(app: &App, name: &str, who: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    // Also somebody who is not in it, so that they do not come by a link.
    let account = match app.one_of(&group, &keys(group.state.members.keys()), who, MEMBER).await {
        Ok(account) => account,
        Err(unknown) => app.contact(who).await.map_err(|_| unknown)?.account,
    };
    if account == app.profile().await?.account {
        return Err(Failure::usage("nobody bans themselves", "hush group leave"));
    }
    change_at(app, &place, Op::Ban(account)).await
}

pub(super) async fn unban(app: &App, name: &str, who: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let account = app.one_of(&group, &keys(&group.state.banned), who, "banned").await?;
    change_at(app, &place, Op::Unban(account)).await
}

pub(super) async fn role(app: &App, name: &str, who: &str, role: Role) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let account = app.one_of(&group, &keys(group.state.members.keys()), who, MEMBER).await?;
    change_at(app, &place, Op::SetRole(account, role)).await
}

pub(super) async fn admit(app: &App, name: &str, who: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let account = app.one_of(&group, &keys(group.state.requests.keys()), who, ASKING).await?;
    change_at(app, &place, Op::Admit(account)).await
}

pub(super) async fn refuse(app: &App, name: &str, who: &str) -> Result<(), Failure> {
    let (place, group) = app.group(name).await?;
    let account = app.one_of(&group, &keys(group.state.requests.keys()), who, ASKING).await?;
    change_at(app, &place, Op::Refuse(account)).await
}

const ASKING: &str = "among those who ask to be let in";

fn keys<'a>(accounts: impl IntoIterator<Item = &'a AccountId>) -> Vec<AccountId> {
    accounts.into_iter().copied().collect()
}
