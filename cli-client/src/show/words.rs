//! Words that people and programs are shown alike.

use hushwire_client::group::Role;
use hushwire_client::{GroupStanding, Membership, Policy, Reason, Seen, Standing, State, Verdict};

pub(super) const fn state_word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Sent => "sent",
        State::Delivered => "delivered",
        State::Read => "read",
    }
}

pub(super) const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Request => "request",
        Standing::Accepted => "accepted",
        Standing::Known => "known",
        Standing::Blocked => "blocked",
    }
}

pub(super) const fn membership_word(membership: Membership) -> &'static str {
    match membership {
        Membership::Listed => "listed",
        Membership::Waiting => "waiting",
        Membership::Revoked => "revoked",
    }
}

/// As `hush identity policy` takes it.
pub(super) const fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "accept",
        Policy::Hold => "hold",
        Policy::Block => "block",
    }
}

pub(super) const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warning",
        Verdict::Fail => "failed",
    }
}

/// As `hush group role` takes it.
pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
        Role::ReadOnly => "read-only",
    }
}

/// A group of which nothing is known was asked to let us in.
pub(super) const fn group_standing_word(standing: Option<GroupStanding>) -> &'static str {
    match standing {
        None | Some(GroupStanding::HeardOf | GroupStanding::Asked) => "asked",
        Some(GroupStanding::Member) => "member",
        Some(GroupStanding::Gone) => "gone",
    }
}

/// A time as it may be typed: the largest unit that it is a whole number of.
pub(crate) fn span(seconds: u32) -> String {
    for (unit, letter) in [(7 * 86_400, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm')] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{letter}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

pub(super) const fn seen_word(seen: Seen) -> &'static str {
    match seen {
        Seen::Now => "now",
        Seen::Today => "today",
        Seen::ThisWeek => "this_week",
        Seen::Hidden => "hidden",
    }
}

pub(super) const fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::NotForUs => "not_for_us",
        Reason::Malformed => "malformed",
        Reason::NotListed => "not_listed",
        Reason::NoSession => "no_session",
        Reason::Forged => "forged",
        Reason::PrekeyGone => "prekey_gone",
        Reason::NotAllowed => "not_allowed",
        Reason::Unknown => "unknown",
        Reason::NumberUsed => "number_used",
    }
}
