//! Contacts and commands: whom we write with, how they came here, what a person may do with them.

use hushwire_proto::ids::{AccountId, Token};
use hushwire_proto::keyserver::Who;
use hushwire_proto::relay::TokenClass;
use rand_core::CryptoRng;

use crate::content::RECEIPTS_MAX;
use crate::engine::{Cx, Engine, Pending};
use crate::input::{Answer, Call, Command, CommandError, NewContact, Output};
use crate::lookup::Wanted;
use crate::store::me::{self, Flag};
use crate::store::{StoreError, contacts, conversations, messages, receipts};
use crate::types::{Contact, ContactId, Standing, Talk};
use crate::{
    act, auditors, conversations as talks, devices, groups, identity, log, log_check, receipts as due_receipts, repair,
    say, store, whisper,
};

/// The longest name of a contact, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Carries out a command.
pub(crate) fn command<R: CryptoRng>(cx: &mut Cx<'_, R>, command: Command) -> Result<(), StoreError> {
    let answer = match command {
        Command::AddContact { who, name } => add(cx, Wanted { who, name })?,
        Command::Send { to, text } => say::sent(cx, to, &text)?,
        Command::Edit { message, text } => act::edit(cx, message, &text)?,
        Command::TakeBack(message) => act::take_back(cx, message)?,
        Command::React { message, emoji } => act::react(cx, message, emoji.as_deref())?,
        Command::Pin { message, pinned } => act::pin(cx, message, pinned)?,
        Command::Forward { message, to } => act::forward(cx, message, to)?,
        Command::DeleteHere(message) => act::delete_here(cx, message)?,
        Command::DeleteConversation(conversation) => talks::delete(cx, conversation)?,
        Command::MarkRead { conversation, through } => talks::mark_read(cx, conversation, through)?,
        Command::SetTimer { conversation, seconds } => talks::set_timer(cx, conversation, seconds)?,
        Command::SetDraft { conversation, draft } => talks::set_draft(cx, conversation, draft.as_deref())?,
        Command::SetReceipts { conversation, told } => talks::set_receipts(cx, conversation, told)?,
        Command::Mute { conversation, until } => {
            talks::with(cx, conversation, |cx, conversation| conversations::mute(cx.db, conversation.id, until))?
        }
        Command::Archive { conversation, archived } => {
            talks::with(cx, conversation, |cx, conversation| conversations::archive(cx.db, conversation.id, archived))?
        }
        Command::FoundGroup { name, members } => groups::found(cx, &name, &members)?,
        Command::ChangeGroup { group, ops } => groups::change(cx, group, ops)?,
        Command::OpenInvite { group, approval, expires_at, uses } => {
            groups::invite(cx, group, approval, expires_at, uses)?
        }
        Command::JoinGroup(link) => groups::changes::join(cx, &link)?,
        Command::AcceptGroup(request) => groups::requests::accept(cx, request)?,
        Command::RefuseGroup(request) => groups::requests::refuse(cx, request)?,
        Command::Accept(contact) => with_contact(cx, contact, |cx, contact| accept(cx, contact.id))?,
        Command::Block(contact) => with_contact(cx, contact, |cx, contact| {
            contacts::set_standing(cx.db, contact.id, Standing::Blocked)?;
            receipts::forget(cx.db, contact.id)?;
            store::group_requests::forget_of(cx.db, contact.id)?;
            whisper::block(cx, contact.id)?;
            me::revoke_token_of(cx.db, contact.id)
        })?,
        Command::SetVerified(contact, verified) => with_contact(cx, contact, |cx, contact| {
            contacts::set_verified(cx.db, contact.id, verified)?;
            identity::settle_all(cx)
        })?,
        Command::SetPolicy(contact, policy) => with_contact(cx, contact, |cx, contact| {
            store::identity::set_policy(cx.db, contact.id, policy)?;
            identity::settle_all(cx)
        })?,
        Command::SetDefaultPolicy(policy) => {
            store::identity::set_default_policy(cx.db, policy)?;
            identity::settle_all(cx)?;
            Answer::Done
        }
        Command::AgreeToDevices(contact) => with_contact(cx, contact, |cx, contact| identity::agree(cx, &contact))?,
        Command::LookAt(conversation, on) => whisper::look_at(cx, conversation, on)?,
        Command::Typing(conversation, on) => whisper::typing(cx, conversation, on)?,
        Command::SharePresence(contact, on) => {
            with_contact(cx, contact, |cx, contact| whisper::share_presence(cx, contact.id, on))?
        }
        Command::ShareTyping(conversation, on) => whisper::share_typing(cx, conversation, on)?,
        Command::Rename(contact, name) => rename(cx, contact, &name)?,
        Command::SetHandleName(name) => set_handle_name(cx, name.as_deref())?,
        Command::AddDevice(request) => devices::add(cx, *request)?,
        Command::RevokeDevice(device) => devices::revoke(cx, device)?,
        Command::RenameDevice(device, name) => devices::rename(cx, device, name)?,
        Command::RenewRecovery { old, new } => devices::renew_recovery(cx, &old, &new)?,
        Command::CheckLog { handle, keyserver } => log_check::begin(cx, handle, keyserver)?,
        Command::AddAuditor(address) => auditors::add(cx, &address)?,
        Command::RemoveAuditor(address) => auditors::remove(cx, &address)?,
    };
    cx.out.insert(0, Output::Answer(answer));
    Ok(())
}

/// A contact becomes one that gets receipts, also for what they wrote as a stranger, and a token of their own.
pub(crate) fn accept<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<(), StoreError> {
    if contacts::get(cx.db, contact)?.is_some_and(|contact| contact.standing == Standing::Request) {
        let conversation = conversations::with(cx.db, contact)?;
        for place in messages::newest_from(cx.db, conversation, contact, RECEIPTS_MAX)? {
            let due = due_receipts::hold_back(cx, Talk::Contact(contact))?;
            receipts::add(cx.db, contact, conversation, receipts::Kind::Delivered, place, due)?;
        }
    }
    contacts::set_standing(cx.db, contact, Standing::Accepted)?;
    cx.flight.whispers.keys_changed();
    if me::token_of(cx.db, contact)?.is_none() {
        let token = Token::generate(cx.rng);
        me::add_token(cx.db, &token, TokenClass::Contact, Some(contact))?;
        contacts::forget_introduction(cx.db, contact)?;
    }
    if contacts::set_kept_back(cx.db, contact, false)?
        && let Some(known) = contacts::get(cx.db, contact)?
    {
        for device in identity::agreed(cx.db, contact, &contacts::links(cx.db, contact)?)? {
            repair::ask_for_kept_back(cx, &known, device.id)?;
        }
    }
    Ok(())
}

/// A name for an account that has none.
pub(crate) fn unnamed(account: AccountId) -> String {
    format!("unknown-{}", account.to_string().chars().take(8).collect::<String>())
}

/// `name`, or `name-2` and so on if that is taken.
pub(crate) fn free_name<R: CryptoRng>(cx: &Cx<'_, R>, name: &str) -> Result<String, StoreError> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX - 8).collect();
    let mut candidate = name.clone();
    let mut number = 2u64;
    // Programs call their user so.
    let is_us = |name: &str| ["you", "me"].iter().any(|us| name.eq_ignore_ascii_case(us));
    while is_us(&candidate) || contacts::by_name(cx.db, &candidate)?.is_some() {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    Ok(candidate)
}

fn add<R: CryptoRng>(cx: &mut Cx<'_, R>, wanted: Wanted) -> Result<Answer, StoreError> {
    if let Some(name) = &wanted.name
        && let Err(error) = checked_name(name)
    {
        return Ok(Answer::Refused(error));
    }
    let (keyserver, who) = match &wanted.who {
        NewContact::Handle(handle, keyserver) => (keyserver.clone(), Who::Handle(handle.name().to_owned())),
        NewContact::Link(link) if link.account == cx.keys.account => return Ok(Answer::Refused(CommandError::Myself)),
        NewContact::Link(link) => (link.keyserver.clone(), Who::Account(link.account)),
    };
    let known = log::known(cx, &keyserver)?;
    cx.call(Call::Lookup { keyserver, who }, Pending::AddContact(Box::new(wanted), known));
    Ok(Answer::Done)
}

/// Whether an author is told how far what they said has come: contacts are, strangers are not.
pub(crate) fn gets_receipts<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    with: Talk,
    author: ContactId,
) -> Result<bool, StoreError> {
    match with {
        Talk::Contact(_) => Ok(contacts::standing(cx.db, author)? == Some(Standing::Accepted)),
        Talk::Group(_) => groups::receive::gets_receipts(cx, with, author),
    }
}

fn rename<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, name: &str) -> Result<Answer, StoreError> {
    if let Err(error) = checked_name(name) {
        return Ok(Answer::Refused(error));
    }
    if contacts::by_name(cx.db, name)?.is_some_and(|other| other.id != contact) {
        return Ok(Answer::Refused(CommandError::NameTaken(name.to_owned())));
    }
    with_contact(cx, contact, |cx, contact| contacts::rename(cx.db, contact.id, name))
}

fn set_handle_name<R: CryptoRng>(cx: &mut Cx<'_, R>, name: Option<&str>) -> Result<Answer, StoreError> {
    if me::flag(cx.db, Flag::Registered)? {
        return Ok(Answer::Refused(CommandError::AlreadyRegistered));
    }
    me::set_handle_name(cx.db, name)?;
    cx.flight.chores.remove(&crate::engine::Chore::Register);
    Ok(Answer::Done)
}

fn with_contact<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ContactId,
    act: impl FnOnce(&mut Cx<'_, R>, Contact) -> Result<(), StoreError>,
) -> Result<Answer, StoreError> {
    match contacts::get(cx.db, id)? {
        None => Ok(Answer::Refused(CommandError::NoSuchContact)),
        Some(contact) => {
            act(cx, contact)?;
            Ok(Answer::Done)
        }
    }
}

fn checked_name(name: &str) -> Result<(), CommandError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits && name.trim() == name { Ok(()) } else { Err(CommandError::BadName) }
}

impl Engine {
    /// All contacts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        contacts::all(self.store.read())
    }

    /// One contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        contacts::get(self.store.read(), id)
    }

    /// Who has this account, also if they are known from a group only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contact_of(&self, account: AccountId) -> Result<Option<Contact>, StoreError> {
        contacts::by_account(self.store.read(), account)
    }

    /// The contact that a person means: by name, by handle, or by the beginning of the account id (8 digits or more),
    /// if only one fits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_contact(&self, meant: &str) -> Result<Option<Contact>, StoreError> {
        let db = self.store.read();
        if let Some(contact) = contacts::by_name(db, meant)? {
            return Ok(Some(contact));
        }
        let fits = |contact: &Contact| {
            contact.handle.as_deref() == Some(meant)
                || (meant.len() >= 8 && contact.account.to_string().starts_with(&meant.to_ascii_lowercase()))
        };
        let mut fitting = contacts::all(db)?.into_iter().filter(fits);
        Ok(match (fitting.next(), fitting.next()) {
            (Some(contact), None) => Some(contact),
            _ => None,
        })
    }
}
