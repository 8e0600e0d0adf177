//! What a change of a group does, in words that stand behind its author's name, and as a kind for programs.

use std::collections::BTreeMap;

use hushwire_client::group::{Invite, NewMember, Op, Role, Void};
use hushwire_client::ids::{AccountId, InviteId};

use super::human::moment;
use super::item::Done;
use super::words::{role_word, span};
use crate::text::clean_line;

/// Characters of a link's number: enough to tell 64 apart.
pub(super) const INVITE_CHARS: usize = 8;

/// The accounts that an operation is about.
pub(crate) fn accounts_of(op: &Op) -> Vec<AccountId> {
    match op {
        Op::Found { members, .. } | Op::Add(members) => members.iter().map(|member| member.account).collect(),
        Op::Remove(account)
        | Op::Ban(account)
        | Op::Unban(account)
        | Op::SetRole(account, _)
        | Op::Admit(account)
        | Op::Refuse(account) => vec![*account],
        Op::Leave
        | Op::Rename(_)
        | Op::Announce(_)
        | Op::Timer(_)
        | Op::Invite { .. }
        | Op::CloseInvite(_)
        | Op::Join { .. }
        | Op::DropDevice { .. } => Vec::new(),
    }
}

/// One thing that a change does. `names`: what accounts are called; `open`: the links that are open now.
pub(crate) fn done(
    op: &Op,
    author: AccountId,
    void: Option<Void>,
    names: &BTreeMap<AccountId, String>,
    open: &BTreeMap<InviteId, Invite>,
) -> Done {
    let name = |account: &AccountId| names.get(account).map_or_else(|| account.to_string(), Clone::clone);
    let to: Vec<String> = accounts_of(op).iter().filter(|account| **account != author).map(name).collect();
    let whom = to.iter().map(|name| clean_line(name)).collect::<Vec<_>>().join(", ");
    let (kind, words) = match op {
        Op::Found { name, .. } if whom.is_empty() => ("found", format!("founded the group {}", quoted(name))),
        Op::Found { name, .. } => ("found", format!("founded the group {} with {whom}", quoted(name))),
        Op::Add(members) => ("add", format!("added {whom}{}", as_what(members))),
        Op::Remove(_) => ("remove", format!("removed {whom}")),
        Op::Ban(_) => ("ban", format!("banned {whom}")),
        Op::Unban(_) => ("unban", format!("lifted the ban of {whom}")),
        Op::Leave => ("leave", "left".to_owned()),
        Op::SetRole(account, role) if *account == author => ("role", format!("stepped down to {}", role_word(*role))),
        Op::SetRole(_, role) => ("role", format!("made {whom} {}", a_role(*role))),
        Op::Rename(name) => ("rename", format!("called the group {}", quoted(name))),
        Op::Announce(true) => ("announce", "let only admins write".to_owned()),
        Op::Announce(false) => ("announce", "let all members write".to_owned()),
        Op::Timer(None) => ("timer", "let messages stay".to_owned()),
        Op::Timer(Some(seconds)) => ("timer", format!("let messages disappear after {}", span(*seconds))),
        Op::Invite { id, approval, expires_at, uses, .. } => {
            let mut words = format!("opened the link {:.INVITE_CHARS$}", id.to_string());
            if let Some(at) = expires_at {
                words.push_str(&format!(", until {}", moment(*at)));
            }
            if let Some(uses) = uses {
                words.push_str(&format!(", for {uses}"));
            }
            if *approval {
                words.push_str(", with approval");
            }
            ("invite", words)
        }
        Op::CloseInvite(id) => ("close", format!("closed the link {:.INVITE_CHARS$}", id.to_string())),
        Op::Join { invite, .. } => {
            let did = match open.get(invite) {
                Some(link) if link.approval => "asked to be let in by",
                Some(_) => "came in by",
                None => "used",
            };
            ("join", format!("{did} the link {:.INVITE_CHARS$}", invite.to_string()))
        }
        Op::Admit(_) => ("admit", format!("let {whom} in")),
        Op::Refuse(_) => ("refuse", format!("did not let {whom} in")),
        Op::DropDevice { device, .. } => {
            let whose = if name(&author) == "you" { "your" } else { "their" };
            ("drop_device", format!("revoked {whose} device {device}"))
        }
    };
    Done { kind, words, to, void: void.map(|why| why.to_string()) }
}

fn quoted(name: &str) -> String {
    format!("“{}”", clean_line(name))
}

fn a_role(role: Role) -> &'static str {
    match role {
        Role::Owner => "an owner",
        Role::Admin => "an admin",
        Role::Member => "a plain member",
        Role::ReadOnly => "read-only",
    }
}

/// Nothing for plain members.
fn as_what(members: &[NewMember]) -> String {
    match members {
        [NewMember { role, .. }, ..] if *role != Role::Member => format!(" as {}", role_word(*role)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use hushwire_client::ids::ChangeHash;

    use super::*;

    #[test]
    fn each_change_of_a_group_has_its_words_and_nothing_of_a_name_that_a_terminal_obeys() {
        let (alice, bob) = (AccountId([1; 32]), AccountId([2; 32]));
        let names = BTreeMap::from([(alice, "alice".to_owned()), (bob, "b\u{202e}ob\u{1b}".to_owned())]);
        let (id, invite) = (InviteId([0xab; 16]), InviteId([0xab; 16]));
        let join = Op::Join { invite, proof: [0; 64], keyserver: server() };
        let opened = Op::Invite { id, key: [0; 32], approval: true, expires_at: None, uses: Some(3) };
        let member = |account| NewMember { account, keyserver: server(), role: Role::Member };
        let cases = [
            (
                Op::Found { name: "te\u{200b}am".to_owned(), members: vec![member(alice), member(bob)] },
                "founded the group “team” with bob",
            ),
            (Op::Add(vec![member(bob)]), "added bob"),
            (Op::Remove(bob), "removed bob"),
            (Op::Ban(bob), "banned bob"),
            (Op::Unban(bob), "lifted the ban of bob"),
            (Op::Leave, "left"),
            (Op::SetRole(bob, Role::ReadOnly), "made bob read-only"),
            (Op::SetRole(alice, Role::Member), "stepped down to member"),
            (Op::Rename("a\u{7}b".to_owned()), "called the group “ab”"),
            (Op::Announce(true), "let only admins write"),
            (Op::Timer(Some(3600)), "let messages disappear after 1h"),
            (opened, "opened the link abababab, for 3, with approval"),
            (Op::CloseInvite(id), "closed the link abababab"),
            (join.clone(), "used the link abababab"),
            (Op::Admit(bob), "let bob in"),
            (Op::Refuse(bob), "did not let bob in"),
        ];
        for (op, words) in cases {
            assert_eq!(done(&op, alice, None, &names, &BTreeMap::new()).words, words);
        }
        for (approval, words) in
            [(true, "asked to be let in by the link abababab"), (false, "came in by the link abababab")]
        {
            let link =
                Invite { by: alice, opened: ChangeHash([0; 32]), approval, expires_at: None, uses: None, used: 0 };
            assert_eq!(done(&join, bob, None, &names, &BTreeMap::from([(invite, link)])).words, words);
        }
        let overtaken = done(&Op::Leave, alice, Some(Void::PutOut), &names, &BTreeMap::new());
        assert_eq!(overtaken.void.as_deref(), Some("the account left or was put out at the same time"));
    }

    fn server() -> hushwire_client::address::ServerAddress {
        hushwire_client::address::ServerAddress::parse("hush://keys.example.org", 4432).unwrap()
    }
}
